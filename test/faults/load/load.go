// Package load writes random DDL and documents on a replica set, through every failover, and enters each statement in a ledger.
package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/faults/ledger"
)

const (
	// writers give DDL at the same time.
	writers = 2
	// patience bounds one statement: a majority that is away would hold it for ever.
	patience = 20 * time.Second
	// pause lies between two statements of one writer, and of the documents' writer.
	pause = 15 * time.Millisecond
)

// Load is a client at work.
type Load struct {
	client *mongo.Client
	book   *ledger.Ledger
	prefix string
	stop   chan struct{}
	ended  sync.WaitGroup
	// whole is done when every writer has told every story.
	whole sync.WaitGroup
}

// Start begins to write. The names of all databases begin with prefix, which no other load of the same set may have.
func Start(uri string, book *ledger.Ledger, prefix string) (*Load, error) {
	// A retried statement would be no trouble, but the ledger is to say what one attempt did.
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetRetryWrites(false).SetServerSelectionTimeout(patience))
	if err != nil {
		return nil, err
	}
	l := &Load{client: client, book: book, prefix: prefix, stop: make(chan struct{})}
	for i := range writers {
		w := &writer{load: l, number: i, rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
		l.whole.Add(1)
		l.ended.Go(w.write)
	}
	l.ended.Go(l.writeDocuments)
	return l, nil
}

// Stop lets statements under way come to their end.
func (l *Load) Stop(ctx context.Context) error {
	close(l.stop)
	l.ended.Wait()
	return l.client.Disconnect(ctx)
}

// WaitWhole waits until there has been every kind of DDL.
func (l *Load) WaitWhole() { l.whole.Wait() }

// rest waits a little, and says whether to go on.
func (l *Load) rest() bool {
	select {
	case <-l.stop:
		return false
	case <-time.After(pause):
		return true
	}
}

// writeDocuments writes what is no DDL, single documents and transactions of them. What fails in a failover is not missed.
func (l *Load) writeDocuments() {
	coll := l.client.Database(l.prefix + "_documents").Collection("documents")
	created := l.create(coll.Database(), "documents")
	for n := 0; l.rest() && created; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, _ = coll.InsertOne(ctx, bson.D{{Key: "_id", Value: n}, {Key: "n", Value: n}})
		_, _ = coll.UpdateOne(ctx, bson.D{{Key: "_id", Value: n}}, bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}})
		_, _ = coll.DeleteOne(ctx, bson.D{{Key: "_id", Value: n - 50}})
		if n%20 == 0 {
			_ = l.client.UseSession(ctx, func(ctx context.Context) error {
				session := mongo.SessionFromContext(ctx)
				if err := session.StartTransaction(); err != nil {
					return err
				}
				_, _ = coll.UpdateMany(ctx, bson.D{}, bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}})
				return session.CommitTransaction(ctx)
			})
		}
		cancel()
	}
}

// create creates a collection however often it takes.
func (l *Load) create(db *mongo.Database, name string) bool {
	effect := ledger.Effect{Operation: "CREATE_COLLECTION", NS: db.Name() + "." + name}
	for {
		err := l.run(db, bson.D{{Key: "create", Value: name}})
		switch {
		case err == nil:
			l.book.Acknowledged(effect)
			return true
		case mongo.IsDuplicateKeyError(err) || exists(err):
			return true
		}
		l.book.Doubtful(err, effect)
		if !l.rest() {
			return false
		}
	}
}

// run returns one command and returns no error only if a majority has what it did.
func (l *Load) run(db *mongo.Database, cmd bson.D) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd = append(cmd, bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}}})
	var reply struct {
		WriteConcernError bson.Raw `bson:"writeConcernError"`
		WriteErrors       bson.Raw `bson:"writeErrors"`
	}
	if err := db.RunCommand(ctx, cmd).Decode(&reply); err != nil {
		return err
	}
	if reply.WriteConcernError != nil || reply.WriteErrors != nil {
		return fmt.Errorf("not acknowledged: %s %s", reply.WriteConcernError, reply.WriteErrors)
	}
	return nil
}
