package metrics_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ddltail/ddltail/internal/metrics"
)

var update = flag.Bool("update", false, "rewrite the tables in docs/metrics.md")

// TestDocs compares the tables in docs/metrics.md with the metrics that are registered.
func TestDocs(t *testing.T) {
	const path = "../../docs/metrics.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	one := []string{"x"}
	want := string(text)
	for command, register := range map[string]func(prometheus.Registerer){
		"run": func(r prometheus.Registerer) {
			m := metrics.NewRun(r, metrics.Build{}, metrics.Labels{Operations: one, Risks: one, Sinks: one, Reasons: one, BestEffort: one}, func() error { return nil })
			m.SetInfo(metrics.Info{})
			m.Headroom.SetOldest("x", 1, time.Now())
			m.Headroom.SetCheckpoint(2)
			m.Drift.WithLabelValues("x").Set(0)
			m.Certificates(map[string]time.Time{"x": time.Now()})
		},
		"listen": func(r prometheus.Registerer) {
			m := metrics.NewListen(r, metrics.Build{}, metrics.ListenLabels{Results: one, Verdicts: one, Modes: one, ReceiverResults: one},
				func() error { return nil })
			m.SetReceivers(one)
			m.Pending(one[0], 0)
			m.SetInfo(metrics.Info{Component: "listen"})
		},
	} {
		begin := fmt.Sprintf("<!-- metrics of %s: written by go test ./internal/metrics -update -->\n", command)
		head, rest, hasBegin := strings.Cut(want, begin)
		_, tail, hasEnd := strings.Cut(rest, "<!-- end of metrics -->")
		if !hasBegin || !hasEnd {
			t.Fatalf("%s has no place for the metrics of %s: want a line %q and one with <!-- end of metrics -->", path, command, begin)
		}
		want = head + begin + table(t, register) + "<!-- end of metrics -->" + tail
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s differs from the registered metrics: go test ./internal/metrics -run Docs -update", path)
	}
}

// table returns the documentation of what register adds to a registry. Each label
// needs one value, since a metric without a series is not gathered.
func table(t *testing.T, register func(prometheus.Registerer)) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	register(registry)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("| metric | type | meaning |\n| --- | --- | --- |\n")
	for _, family := range families {
		name := family.GetName()
		if pairs := family.GetMetric()[0].GetLabel(); len(pairs) > 0 {
			labels := make([]string, len(pairs))
			for i, pair := range pairs {
				labels[i] = pair.GetName()
			}
			name += "{" + strings.Join(labels, ", ") + "}"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", name, strings.ToLower(family.GetType().String()), family.GetHelp())
	}
	return out.String()
}
