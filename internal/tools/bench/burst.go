package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/test/mongotest"
)

const (
	// documentsPerChange is what ddltail stores: history, queue, catalog.
	documentsPerChange = 3
	// insertBatch is the number of documents per insert of the floor.
	insertBatch = 500
	// documentBytes is the approximate size of a document of these changes.
	documentBytes = 700
)

func burst(ctx context.Context, r run) ([]row, error) {
	var rows []row
	err := withSite(ctx, mongotest.Options{}, func(s *site) error {
		if err := createChanged(ctx, s); err != nil {
			return err
		}
		stored, err := s.prepare(ctx, r.peers.named(nameDdltail)[0])
		if err != nil {
			return err
		}
		if stored.from, err = s.head(ctx); err != nil {
			return err
		}
		if err := change(ctx, s, r.scale.Changes); err != nil {
			return err
		}
		if err := s.client.Database("mark").CreateCollection(ctx, "mark"); err != nil {
			return err
		}
		some := r
		some.peers = r.peers.named(nameDdltail, nameFiltered, nameTail)
		rows, err = backlog{name: fmt.Sprintf("%d changes", r.scale.Changes), stored: stored, mark: "mark", floor: func(ctx context.Context) error {
			return insertBare(ctx, s, r.scale.Changes)
		}}.measure(ctx, s, some)
		return err
	})
	return rows, err
}

// createChanged creates the collections that are changed, before the peers begin.
func createChanged(ctx context.Context, s *site) error {
	for i := range writers {
		if err := s.client.Database("burst").CreateCollection(ctx, fmt.Sprintf("c%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// change changes validators, with a separate connection for each collection.
func change(ctx context.Context, s *site, n int) error {
	db := s.client.Database("burst", options.Database().SetWriteConcern(writeconcern.W1()))
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			for k := 0; k < n/writers && errs[i] == nil; k++ {
				errs[i] = db.RunCommand(ctx, withConcern(validator(fmt.Sprintf("c%d", i), k))).Err()
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// withConcern adds write concern 1 to a command.
func withConcern(command bson.D) bson.D {
	return append(command, bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: 1}}})
}

// insertBare inserts the number of documents that the changes produce.
func insertBare(ctx context.Context, s *site, changes int) error {
	t := s.target()
	db := s.client.Database(t.database, options.Database().SetWriteConcern(writeconcern.Majority()))
	documents := make([]bson.D, insertBatch)
	for left := changes; left > 0; left -= insertBatch {
		for c := range documentsPerChange {
			for i := range documents {
				documents[i] = bson.D{{Key: "_id", Value: fmt.Sprintf("rs0:%010d:%06d", left, i)}, {Key: "padding", Value: strings.Repeat("x", documentBytes)}}
			}
			if _, err := db.Collection(fmt.Sprintf("bare%d", c)).InsertMany(ctx, documents[:min(left, insertBatch)]); err != nil {
				return err
			}
		}
	}
	return nil
}
