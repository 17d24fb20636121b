package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/ddltail/ddltail/test/mongotest"
)

// report collects the tables of a run.
type report struct {
	Began   time.Time `json:"began"`
	Machine string    `json:"machine"`
	Go      string    `json:"go"`
	Ddltail string    `json:"ddltail"`
	Mongod  string    `json:"mongod"`
	Scale   scale     `json:"scale"`
	Minutes float64   `json:"minutes"`
	Tables  []table   `json:"tables"`
}

type table struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	About string `json:"about"`
	Rows  []row  `json:"rows"`
}

// newReport returns a report with the versions of ddltail and the server.
func newReport(ctx context.Context, s scale, binary string) (*report, error) {
	r := &report{Began: time.Now().UTC(), Machine: machine(), Go: runtime.Version(), Scale: s}
	out, err := exec.CommandContext(ctx, binary, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", binary, err)
	}
	r.Ddltail = strings.TrimSpace(string(out))
	err = withSite(ctx, mongotest.Options{}, func(site *site) (err error) {
		r.Mongod, err = site.version(ctx)
		return err
	})
	return r, err
}

// log writes progress to stderr.
func (r *report) log(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (r *report) add(w workload, rows []row) {
	r.Tables = append(r.Tables, table{Name: w.name, Title: w.title, About: w.about, Rows: rows})
	r.Minutes = time.Since(r.Began).Minutes()
}

// write replaces both files.
func (r *report) write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "bench.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "bench.md"), []byte(r.markdown()), 0o644)
}

// pageMark is the line of a page after which the tables begin.
const pageMark = "<!-- Written by make bench-page; do not edit. -->\n"

// writePage replaces the tables of a page.
func (r *report) writePage(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, _, found := strings.Cut(string(text), pageMark)
	if !found {
		return fmt.Errorf("%s has no line %q", path, strings.TrimSpace(pageMark))
	}
	return os.WriteFile(path, []byte(before+pageMark+"\n"+r.markdown()), 0o644)
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Run of %s: scale %s, %.0f minutes. %s, %s; mongod %s, ddltail %s. Left out: %s.\n",
		r.Began.Format("2006-01-02 15:04 MST"), r.Scale.Name, r.Minutes, r.Machine, r.Go, r.Mongod, r.Ddltail, r.Scale.Left)
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n| case | peer | quantity | figure | spread | × ddltail |\n| --- | --- | --- | --- | --- | --- |\n", t.Title, t.About)
		for _, one := range t.Rows {
			figure, spread := one.figures()
			fmt.Fprintf(&b, "| %s | %s | %s | %s %s | %s | %s |\n", one.Case, one.Peer, one.Metric, figure, one.Unit, spread, t.ratio(one))
		}
	}
	return b.String()
}

// figures returns a median with its range, or a mean with its 95 % interval.
func (r row) figures() (figure, spread string) {
	if r.Interval && len(r.Values) > 1 {
		low, mean, high := interval(r.Values)
		return number(mean), fmt.Sprintf("95 %%: %s to %s", number(low), number(high))
	}
	return number(median(r.Values)), fmt.Sprintf("%s to %s", number(quantile(r.Values, 0)), number(quantile(r.Values, 1)))
}

// ratio returns a figure as a multiple of ddltail's.
func (t table) ratio(r row) string {
	for _, own := range t.Rows {
		if own.Peer == nameDdltail && own.Case == r.Case && own.Metric == r.Metric && r.Peer != nameDdltail && !r.Interval {
			return number(median(r.Values) / median(own.Values))
		}
	}
	return ""
}

// number returns three significant digits.
func number(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "not known"
	case abs >= 100:
		return fmt.Sprintf("%.0f", v)
	case abs >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
