package main

import (
	"fmt"
	"time"
)

// scale is how much is measured.
type scale struct {
	Name string `json:"name"`
	// Rounds is how often each peer is measured in each workload; TaxPairs is the number for the
	// overhead at full speed, whose differences are small.
	Rounds   int `json:"rounds"`
	TaxPairs int `json:"tax_pairs"`
	// WarmUp is how long a peer and a writer run before they are measured: a peer may adapt.
	WarmUp time.Duration `json:"warm_up"`
	// TaxTime is how long one writer is measured.
	TaxTime time.Duration `json:"tax_time"`
	// Entries are the lengths of the catch-ups.
	Entries []int `json:"entries"`
	// Changes is the length of a burst, Probes the number of changes whose latency is measured.
	Changes int `json:"changes"`
	Probes  int `json:"probes"`
	// Idle is how long an idle peer is measured.
	Idle time.Duration `json:"idle"`
	// Rates are the write rates of the overhead workload; 0 is full speed.
	Rates []int `json:"rates"`
	// Members adds a replica set of three members, of which the primary or a secondary is read.
	Members bool `json:"members"`
	// Left describes what this scale omits.
	Left string `json:"left_out"`
}

func scales() []scale {
	return []scale{
		{
			Name: "small", Rounds: 1, TaxPairs: 1, WarmUp: time.Second / 2, TaxTime: time.Second, Entries: []int{20_000},
			Changes: 300, Probes: 10, Idle: 2 * time.Second, Rates: []int{0},
			Left: "meaningful figures: this scale only shows that the benchmark works",
		},
		{
			Name: "moderate", Rounds: 3, TaxPairs: 10, WarmUp: 2 * time.Second, TaxTime: 3 * time.Second, Entries: []int{100_000, 1_000_000},
			Changes: 10_000, Probes: 100, Idle: 20 * time.Second, Rates: []int{0, 3000},
			Left: "5,000,000 entries, 20,000 changes, 500 writes/s, three members, write concern majority, transactions, 10,000 collections",
		},
		{
			Name: "full", Rounds: 3, TaxPairs: 20, WarmUp: 2 * time.Second, TaxTime: 3 * time.Second, Entries: []int{100_000, 1_000_000, 5_000_000},
			Changes: 20_000, Probes: 300, Idle: time.Minute, Rates: []int{0, 500, 3000}, Members: true,
			Left: "transactions of 1 kB documents and 10,000 collections (`go test -bench 'Transactions|FirstStart' ./test/bench`)",
		},
	}
}

func scaleOf(name string) (scale, error) {
	if name == "" {
		name = "moderate"
	}
	for _, s := range scales() {
		if s.Name == name {
			return s, nil
		}
	}
	return scale{}, fmt.Errorf("BENCH_SCALE=%q: want small, moderate or full", name)
}
