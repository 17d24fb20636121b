package main

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

const (
	// probePause is the time between two measured changes.
	probePause = 50 * time.Millisecond
	// loadRate is the write rate of the latency under load.
	loadRate = 5000
)

func latency(ctx context.Context, r run) ([]row, error) {
	var rows []row
	r.peers = r.peers.named(nameDdltail, nameFiltered, nameTail)
	err := withSite(ctx, mongotest.Options{}, func(s *site) error {
		for _, rate := range []int{0, loadRate} {
			got, err := latencyAt(ctx, s, r, rate)
			rows = append(rows, got...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return rows, err
}

// latencyAt alternates the peers, with a part of the probes in each round.
func latencyAt(ctx context.Context, s *site, r run, rate int) ([]row, error) {
	name := "quiet"
	if rate > 0 {
		name = fmt.Sprintf("%d writes/s", rate)
	}
	taken := map[string][]float64{}
	for range r.scale.Rounds {
		for _, p := range r.peers {
			got, err := probe(ctx, s, p, rate, r.scale)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", p.name, name, err)
			}
			taken[p.name] = append(taken[p.name], got...)
		}
	}
	var rows []row
	for _, p := range r.peers {
		rows = append(rows, row{Case: name, Peer: p.name, Metric: "latency", Unit: "ms", Values: taken[p.name]},
			row{Case: name, Peer: p.name, Metric: "latency, 99th percentile", Unit: "ms", Values: []float64{quantile(taken[p.name], 0.99)}})
	}
	return rows, nil
}

// probe makes changes one by one and returns the milliseconds from the acknowledgement of
// each to its document.
func probe(ctx context.Context, s *site, p peer, rate int, sc scale) (took []float64, err error) {
	t := s.target()
	err = p.with(ctx, t, func(*ddltailtest.Process) error {
		watch, err := s.client.Database(t.database).Collection(p.queue).Watch(ctx, mongo.Pipeline{})
		if err != nil {
			return err
		}
		defer watch.Close(context.WithoutCancel(ctx))
		changes := func() error {
			time.Sleep(sc.WarmUp)
			for i := range max(sc.Probes/sc.Rounds, 1) {
				ms, err := probeOnce(ctx, s, watch, fmt.Sprintf("%s_%d", t.database, i))
				if err != nil {
					return err
				}
				took = append(took, ms)
				time.Sleep(probePause + time.Duration(i%7)*time.Millisecond)
			}
			return nil
		}
		if rate == 0 {
			return changes()
		}
		return newWriter(s.client, writeconcern.W1(), rate).beside(ctx, changes)
	})
	return took, err
}

func probeOnce(ctx context.Context, s *site, watch *mongo.ChangeStream, name string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.client.Database("probes").CreateCollection(ctx, name); err != nil {
		return 0, err
	}
	acknowledged := time.Now()
	for watch.Next(ctx) {
		if collection, _ := watch.Current.Lookup("fullDocument", "collection").StringValueOK(); collection == name {
			return time.Since(acknowledged).Seconds() * 1000, nil
		}
	}
	return 0, fmt.Errorf("%s is not in the queue: %w", name, watch.Err())
}

// validator returns a cheap change, which does not create a file.
func validator(collection string, n int) bson.D {
	return bson.D{{Key: "collMod", Value: collection}, {Key: "validator", Value: bson.D{{Key: "n", Value: bson.D{{Key: "$ne", Value: n}}}}}}
}
