// Package load runs random DDL and inserts on a replica set, also during failovers, and records each statement in a ledger.
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
	// writers is the number of concurrent clients that run DDL.
	writers = 2
	// patience bounds one statement, which would otherwise wait forever without a majority.
	patience = 20 * time.Second
	// interval is the pause between two statements of a writer.
	interval = 15 * time.Millisecond
)

// Load is a running load.
type Load struct {
	client *mongo.Client
	ledger *ledger.Ledger
	prefix string
	stop   chan struct{}
	ended  sync.WaitGroup
	// allKinds is done when every writer has run every scenario.
	allKinds sync.WaitGroup
}

// Start starts a load. The names of all its databases begin with prefix, which no other load on the set may use.
func Start(uri string, record *ledger.Ledger, prefix string) (*Load, error) {
	// No retries, because the ledger records the result of each attempt.
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetRetryWrites(false).SetServerSelectionTimeout(patience))
	if err != nil {
		return nil, err
	}
	l := &Load{client: client, ledger: record, prefix: prefix, stop: make(chan struct{})}
	for i := range writers {
		w := &writer{load: l, number: i, rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
		l.allKinds.Add(1)
		l.ended.Go(w.write)
	}
	l.ended.Go(l.writeDocuments)
	return l, nil
}

// Stop waits for running statements and ends the load.
func (l *Load) Stop(ctx context.Context) error {
	close(l.stop)
	l.ended.Wait()
	return l.client.Disconnect(ctx)
}

// WaitAllKinds waits until every kind of DDL has been run.
func (l *Load) WaitAllKinds() { l.allKinds.Wait() }

// pause waits for the interval, and reports whether the load continues.
func (l *Load) pause() bool {
	select {
	case <-l.stop:
		return false
	case <-time.After(interval):
		return true
	}
}

// writeDocuments inserts documents, alone and in transactions. Errors during failovers are ignored.
func (l *Load) writeDocuments() {
	coll := l.client.Database(l.prefix + "_documents").Collection("documents")
	created := l.create(coll.Database(), "documents")
	for n := 0; l.pause() && created; n++ {
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

// create creates a collection, and retries until it succeeds.
func (l *Load) create(db *mongo.Database, name string) bool {
	effect := ledger.Effect{Operation: "CREATE_COLLECTION", NS: db.Name() + "." + name}
	for {
		err := l.run(db, bson.D{{Key: "create", Value: name}})
		switch {
		case err == nil:
			l.ledger.Acknowledged(effect)
			return true
		case mongo.IsDuplicateKeyError(err) || exists(err):
			return true
		}
		l.ledger.Doubtful(err, effect)
		if !l.pause() {
			return false
		}
	}
}

// run runs a command with w: majority. It returns nil only if the effect is
// majority-committed.
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
