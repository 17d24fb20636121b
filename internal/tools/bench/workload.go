package main

import (
	"context"
	"slices"
	"strings"
	"time"
)

// setLimit bounds the start of servers and peers.
const setLimit = 2 * time.Minute

// workload is one table of the report.
type workload struct {
	name, title string
	// about describes how the figures are measured.
	about   string
	measure func(context.Context, run) ([]row, error)
}

// run is the input of a workload.
type run struct {
	scale scale
	peers peers
	log   func(format string, args ...any)
}

// show logs figures before the workload has ended.
func (r run) show(rows []row) {
	for _, one := range rows {
		figure, spread := one.figures()
		r.log("  %s, %s, %s: %s %s (%s)", one.Case, one.Peer, one.Metric, figure, one.Unit, spread)
	}
}

// row is one measured quantity of one peer.
type row struct {
	Case   string    `json:"case"`
	Peer   string    `json:"peer"`
	Metric string    `json:"metric"`
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"`
	// Interval is true if the values are samples of one mean, whose 95 % interval is shown instead
	// of the spread.
	Interval bool `json:"interval,omitempty"`
}

func workloads() []workload {
	return []workload{
		{"tax", "Overhead on a writing client (tax)", "Four connections insert documents of 100 bytes, one per insert. Runs without and with a peer alternate; " +
			"losses are computed per pair, and the CPU time is that of the mongod that the peer reads.", tax},
		{"latency", "Latency", "From the acknowledgement of a `create` to the document that a change stream on the queue sees. All peers make the same two inserts: history w: 1 " +
			"(ddltail: majority), then queue w: majority. About 18 changes a second, one after the other.", latency},
		{"catchup", "Catch-up", "Entries of small inserts and then one change, from the start of the process to that change in the queue. The floor is a find with the " +
			"filter that ddltail sends, without decoding.", catchUp},
		{"idle", "Idle", "One idle member, through a proxy that counts bytes in both directions.", idle},
		{"start", "Start", "From the start of the process to `/readyz`, or to the open cursor, with 10 collections.", starts},
		{"burst", "Burst", "Changes of validators made while the peer does not run, from its start until the last one is in the queue. " +
			"The floor inserts the same number of documents, three per change, in batches of 500.", burst},
	}
}

// selected returns the workloads of a list of names; all if it is empty.
func selected(only string) []workload {
	all := workloads()
	if only == "" {
		return all
	}
	names := strings.Split(only, ",")
	return slices.DeleteFunc(all, func(w workload) bool { return !slices.Contains(names, w.name) })
}
