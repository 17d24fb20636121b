package health

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ddltail/ddltail/internal/terminal"
)

// Write writes the report for people.
func (r Report) Write(w io.Writer, screen terminal.Screen) error {
	out := bufio.NewWriter(w)
	line := func(name, value string, c terminal.Colour) {
		fmt.Fprintf(out, "%s  %s\n", screen.Paint(terminal.Dim, terminal.Pad(name, 13)), screen.Paint(c, terminal.Cut(value, screen.Columns-15)))
	}
	if r.Healthy {
		line("status", "healthy", terminal.Green)
	} else {
		line("status", "NOT HEALTHY", terminal.Alarm)
	}
	line("replica set", fmt.Sprintf("%s, source %s, name %s", known(r.ReplicaSet), known(r.Source), r.Name), terminal.Plain)
	for _, m := range r.Members {
		text := terminal.Escape(m.Host) + " " + terminal.Escape(m.State)
		if m.Host == r.ReadFrom {
			text += ", read from"
		}
		line("member", text, terminal.Plain)
	}
	r.writePosition(line)
	if e := r.LastEvent; e != nil {
		line("last change", fmt.Sprintf("%s %s %s", stamp(e.Time), e.Operation, terminal.Escape(e.NS)), terminal.Plain)
	} else {
		line("last change", "none", terminal.Plain)
	}
	r.writeRest(line)
	for _, p := range r.Problems {
		fmt.Fprintln(out, screen.Paint(terminal.Alarm, "! "+terminal.Escape(p)))
	}
	for _, m := range r.Missing {
		fmt.Fprintln(out, "  "+terminal.Escape(m.Remedy))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	return nil
}

func (r Report) writePosition(line func(string, string, terminal.Colour)) {
	if p := r.Position; p != nil {
		line("position", fmt.Sprintf("%s, %s behind", stamp(p.Time), span(p.LagSeconds)), terminal.Plain)
	} else {
		line("position", "not known", terminal.Red)
	}
	if o := r.Oplog; o != nil {
		text := fmt.Sprintf("%s to %s, %s", stamp(o.Oldest), stamp(o.Newest), span(o.WindowSeconds))
		line("oplog", text, terminal.Plain)
	}
	if p := r.Position; p != nil && r.Oplog != nil {
		line("falls off", fmt.Sprintf("in %s at the earliest, were the position to stand still", span(max(0, p.RemainingSeconds))), terminal.Plain)
	}
}

func (r Report) writeRest(line func(string, string, terminal.Colour)) {
	if g := r.Gaps; g.Number > 0 {
		line("gaps", fmt.Sprintf("%d, the last from %s to %s", g.Number, stamp(*g.From), stamp(*g.To)), terminal.Yellow)
	} else {
		line("gaps", "none", terminal.Plain)
	}
	unprocessed := fmt.Sprintf("%d unprocessed", r.Queue.Unprocessed)
	if r.Queue.Unprocessed == maxCounted {
		unprocessed = fmt.Sprintf("%d or more unprocessed", maxCounted)
	}
	if at := r.Queue.Oldest; at != nil {
		unprocessed += ", the oldest of " + stamp(*at)
	}
	line("notifications", unprocessed, terminal.Plain)
	r.writeActors(line)
	switch {
	case !r.Catalog.Compared:
		line("catalog", "not compared", terminal.Yellow)
	case len(r.Catalog.Differences) == 0:
		line("catalog", fmt.Sprintf("%d namespaces, as the server has them", r.Catalog.Namespaces), terminal.Plain)
	}
	for _, d := range r.Catalog.Differences {
		line("catalog", d, terminal.Red)
	}
	if len(r.Missing) == 0 {
		line("privileges", "none is missing", terminal.Plain)
	}
}

func known(s string) string {
	if s == "" {
		return "not known"
	}
	return terminal.Escape(s)
}

func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// span writes seconds as days, hours, minutes and seconds, the first two that count.
func span(seconds int64) string {
	if seconds == 0 {
		return "0 s"
	}
	var parts []string
	for _, unit := range []struct {
		name   string
		length int64
	}{{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}} {
		if n := seconds / unit.length; n > 0 && len(parts) < 2 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unit.name))
		}
		seconds %= unit.length
	}
	return strings.Join(parts, " ")
}
