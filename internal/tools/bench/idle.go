package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// idle measures each peer on an idle server.
func idle(ctx context.Context, r run) ([]row, error) {
	var rows []row
	err := withSite(ctx, mongotest.Options{}, func(s *site) error {
		through, err := newProxy(ctx, s.set.Hosts())
		if err != nil {
			return err
		}
		defer through.Close()
		for _, p := range r.peers.named(nameDdltail, nameFiltered, nameTail) {
			got, err := idleOf(ctx, s, through, p, r.scale)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			rows = append(rows, got...)
		}
		return nil
	})
	return rows, err
}

func idleOf(ctx context.Context, s *site, through *proxy, p peer, sc scale) (rows []row, err error) {
	length := sc.Idle
	t := s.target()
	t.uri = through.uri()
	primary, err := s.set.Primary(ctx)
	if err != nil {
		return nil, err
	}
	err = p.with(ctx, t, func(process *ddltailtest.Process) error {
		time.Sleep(sc.WarmUp)
		own, err := processorTime(process.Pid())
		if err != nil {
			return err
		}
		server, err := processorTime(primary.Pid())
		if err != nil {
			return err
		}
		bytes := through.bytes.Load()
		time.Sleep(length)
		bytes = through.bytes.Load() - bytes
		ownAfter, err := processorTime(process.Pid())
		if err != nil {
			return err
		}
		serverAfter, err := processorTime(primary.Pid())
		if err != nil {
			return err
		}
		peak, err := peakMemory(process.Pid())
		name := fmt.Sprintf("%s idle", length)
		share := func(d time.Duration) []float64 { return []float64{100 * d.Seconds() / length.Seconds()} }
		rows = []row{
			{Case: name, Peer: p.name, Metric: "CPU of the process", Unit: "% of a core", Values: share(ownAfter - own)},
			{Case: name, Peer: p.name, Metric: "CPU of mongod", Unit: "% of a core", Values: share(serverAfter - server)},
			{Case: name, Peer: p.name, Metric: "peak memory", Unit: "MB", Values: []float64{peak / 1e6}},
			{Case: name, Peer: p.name, Metric: "on the wire", Unit: "kB/min", Values: []float64{float64(bytes) / 1e3 / length.Minutes()}},
		}
		return err
	})
	return rows, err
}
