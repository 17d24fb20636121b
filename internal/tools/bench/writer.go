package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

const (
	// writers is the number of connections that insert.
	writers = 4
	// paddingBytes makes a document of about 100 bytes.
	paddingBytes = 64
)

// writer inserts small documents, one per insert.
type writer struct {
	collection *mongo.Collection
	// rate is the number per second; 0 is full speed.
	rate    int
	written atomic.Int64
}

func newWriter(client *mongo.Client, concern *writeconcern.WriteConcern, rate int) *writer {
	return &writer{
		collection: client.Database("load").Collection("docs", options.Collection().SetWriteConcern(concern)),
		rate:       rate,
	}
}

// run writes until the context ends.
func (w *writer) run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() { errs[i] = w.insert(ctx) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errs...)
}

func (w *writer) insert(ctx context.Context) error {
	document := bson.D{{Key: "padding", Value: strings.Repeat("x", paddingBytes)}}
	began, n := time.Now(), 0
	for ctx.Err() == nil {
		if w.rate > 0 {
			due := began.Add(time.Duration(n) * time.Second * writers / time.Duration(w.rate))
			if wait := time.Until(due); wait > 0 {
				time.Sleep(wait)
			}
		}
		// The end of a writer's context does not interrupt an insert, which would close a connection.
		if _, err := w.collection.InsertOne(context.WithoutCancel(ctx), document); err != nil {
			return err
		}
		n++
		w.written.Add(1)
	}
	return nil
}

// beside calls do while the writer writes.
func (w *writer) beside(ctx context.Context, do func() error) error {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()
	err := do()
	stop()
	return errors.Join(err, <-ended)
}
