package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// startCollections is the number of collections at the start of a peer.
const startCollections = 10

// starts measures for each peer a first start and a second one on the same target, at which
// ddltail resumes at its checkpoint.
func starts(ctx context.Context, r run) ([]row, error) {
	first, again := map[string][]float64{}, map[string][]float64{}
	all := r.peers.named(nameDdltail, nameFiltered, nameTail)
	err := withSite(ctx, mongotest.Options{}, func(s *site) error {
		for i := range startCollections {
			if err := s.client.Database("app").CreateCollection(ctx, fmt.Sprintf("c%d", i)); err != nil {
				return err
			}
		}
		for range max(r.scale.Rounds, 3) {
			for _, p := range all {
				t := s.target()
				for _, into := range []map[string][]float64{first, again} {
					ms, err := startOf(ctx, p, t)
					if err != nil {
						return err
					}
					into[p.name] = append(into[p.name], ms)
				}
			}
		}
		return nil
	})
	var rows []row
	for _, p := range all {
		rows = append(rows, row{Case: "first start", Peer: p.name, Metric: "ready", Unit: "ms", Values: first[p.name]},
			row{Case: "later start", Peer: p.name, Metric: "ready", Unit: "ms", Values: again[p.name]})
	}
	return rows, err
}

func startOf(ctx context.Context, p peer, t target) (ms float64, err error) {
	began := time.Now()
	err = p.with(ctx, t, func(*ddltailtest.Process) error {
		ms = time.Since(began).Seconds() * 1000
		return nil
	})
	return ms, err
}

// started returns an error if no process was started; it runs no workload.
func started(process *ddltailtest.Process) error {
	if process == nil {
		return errors.New("no process was started")
	}
	return nil
}
