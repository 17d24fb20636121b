package metrics

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHeadroom(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	after := func(d time.Duration, oldest uint32) truncation { return truncation{start.Add(d), oldest} }
	for name, c := range map[string]struct {
		samples    []truncation
		checkpoint uint32
		now        time.Duration
		want       time.Duration
		known      bool
	}{
		"nothing observed":             {nil, 5000, 0, 0, false},
		"no checkpoint stored":         {[]truncation{after(0, 1000)}, 0, 0, 0, false},
		"an oplog that is not full":    {[]truncation{after(0, 1000), after(time.Minute, 1000)}, 4600, time.Minute, time.Hour, true},
		"truncated as fast as written": {[]truncation{after(0, 1000), after(time.Minute, 1060)}, 4660, time.Minute, time.Hour, true},
		"a burst, ten times as fast":   {[]truncation{after(0, 1000), after(time.Minute, 1600)}, 5200, time.Minute, 6 * time.Minute, true},
		"observed long ago":            {[]truncation{after(0, 1000)}, 4600, 45 * time.Minute, 15 * time.Minute, true},
		"fallen off":                   {[]truncation{after(0, 5000)}, 4600, 0, 0, true},
		"a member that lags behind":    {[]truncation{after(0, 1000), after(time.Minute, 900)}, 4500, time.Minute, time.Hour, true},
	} {
		got, known := headroom(c.samples, c.checkpoint, start.Add(c.now))
		if got != c.want || known != c.known {
			t.Errorf("%s: %s, known %t; want %s, %t", name, got, known, c.want, c.known)
		}
	}
}

// TestHeadroomSamples: the window is bounded, and another member begins a new one.
func TestHeadroomSamples(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := newHeadroom(registry)
	if n := gathered(t, registry); n != 0 {
		t.Errorf("%d series before anything is known", n)
	}
	at := time.Now().Add(-2 * time.Hour)
	for i := range uint32(720) {
		h.SetOldest("a:1", 1000+i, at.Add(time.Duration(i)*10*time.Second))
	}
	if n := len(h.samples); n < 60 || n > 62 {
		t.Errorf("%d samples of 10 s are kept, want those of 10 min", n)
	}
	h.SetOldest("b:1", 1, at)
	if n := len(h.samples); n != 1 {
		t.Errorf("%d samples after a change of member", n)
	}
	h.SetCheckpoint(7300)
	if n := gathered(t, registry); n != 1 {
		t.Errorf("%d series", n)
	}
}

func gathered(t *testing.T, registry *prometheus.Registry) int {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return len(families)
}
