package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// taxCase is one combination of write concern, rate and member.
type taxCase struct {
	name    string
	members int
	// secondary makes ddltail read a secondary.
	secondary bool
	concern   *writeconcern.WriteConcern
	rate      int
}

func taxCases(s scale) []taxCase {
	var cases []taxCase
	for _, rate := range s.Rates {
		speed := "full speed"
		if rate > 0 {
			speed = fmt.Sprintf("%d writes/s", rate)
		}
		cases = append(cases, taxCase{name: "w: 1, " + speed, members: 1, concern: writeconcern.W1(), rate: rate})
	}
	if s.Members {
		cases = append(cases,
			taxCase{name: "w: majority, full speed", members: 1, concern: writeconcern.Majority()},
			taxCase{name: "three members, w: majority, full speed", members: 3, concern: writeconcern.Majority()},
			taxCase{name: "three members, w: majority, a secondary read", members: 3, secondary: true, concern: writeconcern.Majority()})
	}
	return cases
}

// pairs returns the number of pairs: all for the main case, half of them for the others.
func (c taxCase) pairs(s scale) int {
	if c.rate == 0 && c.members == 1 {
		return s.TaxPairs
	}
	return max(s.TaxPairs/2, 1)
}

// sample is the result of measuring a writer.
type sample struct {
	writes float64 // per second
	cpu    float64 // seconds of the primary's mongod for a million writes
}

func tax(ctx context.Context, r run) ([]row, error) {
	var rows []row
	for _, c := range taxCases(r.scale) {
		err := withSite(ctx, mongotest.Options{Members: c.members}, func(s *site) error {
			got, err := c.measure(ctx, s, r)
			rows = append(rows, got...)
			r.show(got)
			return err
		})
		if err != nil {
			return rows, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return rows, nil
}

// measure alternates pairs: without and with each peer, in an order that changes.
func (c taxCase) measure(ctx context.Context, s *site, r run) ([]row, error) {
	all := r.peers.named(nameDdltail, nameFiltered, nameTail)
	if c.secondary {
		all = r.peers.named(nameDdltail)
	}
	// A peer keeps its database: creating many would be an additional load.
	targets := map[string]target{}
	for _, p := range all {
		targets[p.name] = c.target(s)
	}
	alone := map[string][]sample{}
	beside := map[string][]sample{}
	for pair := range c.pairs(r.scale) {
		for _, i := range rand.Perm(len(all)) {
			p := all[i]
			order := []peer{{}, p}
			if pair%2 == 1 {
				slices.Reverse(order)
			}
			for _, which := range order {
				got, err := c.sample(ctx, s, which, targets[p.name], r.scale)
				if err != nil {
					return nil, err
				}
				if which.start == nil {
					alone[p.name] = append(alone[p.name], got)
				} else {
					beside[p.name] = append(beside[p.name], got)
				}
			}
		}
		r.log("  %s: pair %d of %d", c.name, pair+1, c.pairs(r.scale))
	}
	return c.rows(all, alone, beside), nil
}

func (c taxCase) rows(all peers, alone, beside map[string][]sample) []row {
	var rows []row
	for _, p := range all {
		loss := row{Case: c.name, Peer: p.name, Metric: "writes lost", Unit: "%", Interval: true}
		more := row{Case: c.name, Peer: p.name, Metric: "additional mongod CPU for a million writes", Unit: "s", Interval: true}
		speed := row{Case: c.name, Peer: p.name, Metric: "writes", Unit: "1/s"}
		for i, with := range beside[p.name] {
			without := alone[p.name][i]
			loss.Values = append(loss.Values, 100*(1-with.writes/without.writes))
			more.Values = append(more.Values, with.cpu-without.cpu)
			speed.Values = append(speed.Values, with.writes)
		}
		rows = append(rows, loss, more, speed)
	}
	none := row{Case: c.name, Peer: nameNone, Metric: "writes", Unit: "1/s"}
	cpu := row{Case: c.name, Peer: nameNone, Metric: "mongod CPU for a million writes", Unit: "s"}
	for _, p := range all {
		for _, one := range alone[p.name] {
			none.Values = append(none.Values, one.writes)
			cpu.Values = append(cpu.Values, one.cpu)
		}
	}
	return append(rows, none, cpu)
}

func (c taxCase) target(s *site) target {
	t := s.target()
	if c.secondary {
		t.variables = []string{"DDLTAIL_READ_PREFERENCE=secondary"}
	}
	return t
}

// sample measures a writer next to a peer, after a warm-up of both.
func (c taxCase) sample(ctx context.Context, s *site, p peer, t target, length scale) (got sample, err error) {
	primary, err := s.set.Primary(ctx)
	if err != nil {
		return got, err
	}
	w := newWriter(s.client, c.concern, c.rate)
	err = p.with(ctx, t, func(*ddltailtest.Process) error {
		return w.beside(ctx, func() error {
			time.Sleep(length.WarmUp)
			before, err := processorTime(primary.Pid())
			if err != nil {
				return err
			}
			written, began := w.written.Load(), time.Now()
			time.Sleep(length.TaxTime)
			took, n := time.Since(began), w.written.Load()-written
			after, err := processorTime(primary.Pid())
			if n == 0 {
				return errors.New("nothing was written")
			}
			got = sample{writes: float64(n) / took.Seconds(), cpu: (after - before).Seconds() * 1e6 / float64(n)}
			return err
		})
	})
	return got, err
}
