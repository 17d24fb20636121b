package main

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	values := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4} {
		if got := quantile(values, q); got != want {
			t.Errorf("the quantile %v of %v is %v, want %v", q, values, got, want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

// TestInterval has the textbook's interval of ten values: mean 5.5, deviation 3.03, t 2.26.
func TestInterval(t *testing.T) {
	low, mean, high := interval([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	if math.Abs(low-3.34) > 0.01 || mean != 5.5 || math.Abs(high-7.66) > 0.01 {
		t.Errorf("got %v, %v, %v", low, mean, high)
	}
}

func TestIntervalOfIdenticalValuesIsAPoint(t *testing.T) {
	if low, _, high := interval([]float64{3, 3}); low != 3 || high != 3 {
		t.Errorf("got %v to %v", low, high)
	}
}

func TestProcessorTimeGrowsWithWork(t *testing.T) {
	before, err := processorTime(os.Getpid())
	if err != nil {
		t.Skip(err) // no /proc
	}
	for x := 0.0; ; x++ {
		if after, err := processorTime(os.Getpid()); err != nil || after-before >= 2*tick {
			if err != nil {
				t.Error(err)
			}
			return
		}
		_ = math.Sqrt(x)
	}
}

func TestMarkdown(t *testing.T) {
	r := &report{Began: time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC), Scale: scale{Name: "small", Left: "most"}}
	r.add(workload{name: "w", title: "Work", about: "How."}, []row{
		{Case: "c", Peer: nameDdltail, Metric: "time", Unit: "s", Values: []float64{1, 2, 4}},
		{Case: "c", Peer: nameStream, Metric: "time", Unit: "s", Values: []float64{8, 8, 9}},
		{Case: "c", Peer: nameStream, Metric: "writes lost", Unit: "%", Values: []float64{1, 3}, Interval: true},
		{Case: "c", Peer: nameStream, Metric: "nothing", Unit: "s"},
	})
	for _, want := range []string{
		"scale small", "Left out: most.",
		"| c | ddltail | time | 2.00 s | 1.00 to 4.00 |  |\n",
		"| c | change stream | time | 8.00 s | 8.00 to 9.00 | 4.00 |\n",
		"| c | change stream | writes lost | 2.00 % | 95 %: -10.7 to 14.7 |  |\n",
		"| c | change stream | nothing | not known s | not known to not known |  |\n",
	} {
		if got := r.markdown(); !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func TestScales(t *testing.T) {
	if s, err := scaleOf(""); err != nil || s.Name != "moderate" {
		t.Errorf("the default scale is %q, %v", s.Name, err)
	}
	if _, err := scaleOf("huge"); err == nil || !strings.Contains(err.Error(), "small, moderate or full") {
		t.Errorf("got %v", err)
	}
}
