package metrics

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestQueueNotKnown: before the first scan, number and age of the unprocessed notifications are not known.
func TestQueueNotKnown(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewListen(reg, Build{}, ListenLabels{}, func() error { return nil })
	for _, want := range []float64{math.NaN(), 0} {
		for _, name := range []string{"ddltail_notifications_unprocessed", "ddltail_oldest_unprocessed_age_seconds"} {
			if got := gaugeOf(t, reg, name); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		m.Queue(0, 0)
	}
}

func gaugeOf(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("%s is not registered", name)
	return 0
}
