package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// fillBatch is the number of documents of one insert.
const fillBatch = 1000

// bytesOfEntry is the approximate size of the oplog entry of a small insert.
const bytesOfEntry = 300

func catchUp(ctx context.Context, r run) ([]row, error) {
	var rows []row
	for _, n := range r.scale.Entries {
		o := mongotest.Options{OplogSizeMB: max(n*bytesOfEntry>>20, 990)}
		err := withSite(ctx, o, func(s *site) error {
			got, err := catchUpOver(ctx, s, r, n)
			rows = append(rows, got...)
			return err
		})
		if err != nil {
			return rows, fmt.Errorf("%d entries: %w", n, err)
		}
	}
	return rows, nil
}

func catchUpOver(ctx context.Context, s *site, r run, n int) ([]row, error) {
	stored, err := s.prepare(ctx, r.peers.named(nameDdltail)[0])
	if err != nil {
		return nil, err
	}
	if stored.from, err = s.head(ctx); err != nil {
		return nil, err
	}
	if err := fill(ctx, s, n); err != nil {
		return nil, err
	}
	if err := s.client.Database("mark").CreateCollection(ctx, "mark"); err != nil {
		return nil, err
	}
	until, err := s.head(ctx)
	if err != nil {
		return nil, err
	}
	return backlog{name: fmt.Sprintf("%d entries", n), stored: stored, mark: "mark", floor: func(ctx context.Context) error {
		return drain(ctx, s, stored.from, until)
	}}.measure(ctx, s, r)
}

// fill writes small documents.
func fill(ctx context.Context, s *site, n int) error {
	documents := make([]bson.D, fillBatch)
	for i := range documents {
		documents[i] = bson.D{{Key: "padding", Value: strings.Repeat("x", paddingBytes)}}
	}
	load := s.client.Database("load").Collection("fill", options.Collection().SetWriteConcern(writeconcern.W1()))
	for range n / fillBatch {
		if _, err := load.InsertMany(ctx, documents); err != nil {
			return err
		}
	}
	return nil
}

// drain reads with the filter that ddltail sends (internal/oplog, filter.go) and decodes nothing.
func drain(ctx context.Context, s *site, from, until bson.Timestamp) error {
	views := bson.Regex{Pattern: `\.system\.views$`}
	is := func(field string, value any) bson.D { return bson.D{{Key: field, Value: value}} }
	filter := bson.D{
		{Key: "ts", Value: bson.D{{Key: "$gte", Value: from}, {Key: "$lte", Value: until}}},
		{Key: "$or", Value: bson.A{
			bson.D{{Key: "op", Value: "c"}, {Key: "o.applyOps", Value: is("$exists", false)}},
			bson.D{{Key: "op", Value: "c"}, {Key: "o.partialTxn", Value: is("$ne", true)}, {Key: "o.prepare", Value: is("$ne", true)},
				{Key: "$or", Value: bson.A{
					is("o.applyOps.op", "c"),
					bson.D{{Key: "prevOpTime.ts", Value: is("$gt", bson.Timestamp{})}, {Key: "multiOpType", Value: is("$not", is("$gt", 0))}},
					bson.D{{Key: "o.applyOps.ns", Value: views}, {Key: "lsid", Value: is("$exists", false)}},
				}}},
			bson.D{{Key: "op", Value: is("$in", bson.A{"i", "u", "d"})}, {Key: "ns", Value: views}},
		}},
	}
	cur, err := s.client.Database("local").Collection("oplog.rs").Find(ctx, filter, options.Find().SetHint(is("$natural", 1)))
	if err != nil {
		return err
	}
	defer cur.Close(context.WithoutCancel(ctx))
	n := 0
	for cur.Next(ctx) {
		n++
	}
	if n == 0 {
		return fmt.Errorf("the drained oplog holds no change: %w", cur.Err())
	}
	return cur.Err()
}

// backlog is a part of the oplog that peers have not read yet, up to a marked change.
type backlog struct {
	name string
	// stored has ddltail's collections from before the backlog, with its position.
	stored target
	mark   string
	floor  func(context.Context) error
}

// measure alternates the peers.
func (b backlog) measure(ctx context.Context, s *site, r run) ([]row, error) {
	order := []string{nameFloor}
	took, cpu, memory := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
	primary, err := s.set.Primary(ctx)
	if err != nil {
		return nil, err
	}
	for round := range r.scale.Rounds {
		for _, p := range append(peers{{name: nameFloor}}, r.peers...) {
			if round == 0 && p.name != nameFloor {
				order = append(order, p.name)
			}
			before, err := processorTime(primary.Pid())
			if err != nil {
				return nil, err
			}
			seconds, peak, err := b.read(ctx, s, p)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			after, err := processorTime(primary.Pid())
			if err != nil {
				return nil, err
			}
			took[p.name] = append(took[p.name], seconds)
			cpu[p.name] = append(cpu[p.name], (after - before).Seconds())
			memory[p.name] = append(memory[p.name], peak/1e6)
		}
		r.log("  %s: round %d of %d", b.name, round+1, r.scale.Rounds)
	}
	var rows []row
	for _, name := range order {
		rows = append(rows, row{Case: b.name, Peer: name, Metric: "time", Unit: "s", Values: took[name]},
			row{Case: b.name, Peer: name, Metric: "mongod CPU", Unit: "s", Values: cpu[name]})
		if name != nameFloor {
			rows = append(rows, row{Case: b.name, Peer: name, Metric: "peak memory", Unit: "MB", Values: memory[name]})
		}
	}
	return rows, nil
}

// read returns how long one peer takes, and its largest memory.
func (b backlog) read(ctx context.Context, s *site, p peer) (seconds, peak float64, err error) {
	if p.start == nil {
		began := time.Now()
		err := b.floor(ctx)
		return time.Since(began).Seconds(), 0, err
	}
	t := s.target()
	if p.name == nameDdltail {
		if t, err = s.copyOf(ctx, b.stored); err != nil {
			return 0, 0, err
		}
	}
	t.from = b.stored.from
	began := time.Now()
	p.ready = func(context.Context, *ddltailtest.Process) error { return nil }
	err = p.with(ctx, t, func(process *ddltailtest.Process) error {
		if err := s.waitQueued(ctx, t, p.queue, b.mark); err != nil {
			return err
		}
		seconds = time.Since(began).Seconds()
		peak, err = peakMemory(process.Pid())
		return err
	})
	return seconds, peak, err
}
