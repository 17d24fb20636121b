package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/faults/ledger"
)

const (
	// entriesPerRound results in a million entries in 20 rounds.
	entriesPerRound = 50_000
	// base is the limit of ddltail's memory in MB, regardless of the oplog.
	base = 40
	mB   = 1 << 20
	// copies is how many copies of a change may be in memory before the garbage collector runs: in the reply, the definition,
	// the version and the statement, in the documents of two sinks and in the driver's messages.
	copies = 30
	// keptCopies is how many copies of a definition of the catalog may be in memory: one is live, and the heap can double before
	// the garbage collector runs.
	keptCopies = 3
)

// TestMemoryOfCatchUp makes ddltail catch up on a long oplog with large transactions. Their documents are not transferred, so that
// memory stays small.
func TestMemoryOfCatchUp(t *testing.T) {
	ddltailtest.SkipMemory(t)
	s := newScene(t)
	s.stop(s.begin())
	for i := range times() {
		fillOplog(s, entriesPerRound, i)
		s.must(mixedTransaction(s, fmt.Sprintf("mixed%d", i), 12))
		s.must(mixedTransaction(s, fmt.Sprintf("chain%d", i), 20))
	}
	p := s.run()
	resident := watchCatchUp(s, p)
	peak := memory(s, p, "VmHWM")
	s.Logf("%d entries and %d large transactions: resident memory %v MB while catching up, peak %d MB",
		times()*entriesPerRound, 2*times(), resident, peak)
	if peak > base {
		t.Errorf("%d MB, want at most %d", peak, base)
	}
	s.check()
}

// TestMemoryOfLargeEntry makes changes with large definitions, whose entries must be
// transferred.
func TestMemoryOfLargeEntry(t *testing.T) {
	slow(t)
	ddltailtest.SkipMemory(t)
	s := newScene(t)
	p := s.begin()
	const size = 4
	collections := max(2, times())
	for i := range collections {
		ns := fmt.Sprintf("validated%d", i)
		words := make(bson.A, size)
		for j := range words {
			words[j] = strings.Repeat("x", mB)
		}
		s.must(s.client.Database(loadDatabase+"_large").CreateCollection(t.Context(), ns,
			options.CreateCollection().SetValidator(bson.D{{Key: "a", Value: bson.D{{Key: "$in", Value: words}}}})))
		s.ledger.Acknowledged(ledger.Effect{Operation: "CREATE_COLLECTION", NS: loadDatabase + "_large." + ns})
	}
	end := s.mark("large")
	s.published("history", end)
	peak := memory(s, p, "VmHWM")
	limit := base + copies*size + keptCopies*size*collections
	s.Logf("%d definitions of %d MB: peak of resident memory %d MB, limit %d MB", collections, size, peak, limit)
	if peak > limit {
		t.Errorf("%d MB, want at most %d", peak, limit)
	}
	s.check()
}

// fillOplog writes the given number of entries without DDL.
func fillOplog(s *scene, entries, round int) {
	s.Helper()
	coll := s.client.Database(loadDatabase + "_filler").Collection("documents")
	if round == 0 {
		s.must(coll.Database().CreateCollection(s.Context(), coll.Name()))
		s.ledger.Acknowledged(ledger.Effect{Operation: "CREATE_COLLECTION", NS: coll.Database().Name() + ".documents"})
	}
	const batch = 1000
	for range entries / batch {
		documents := make([]any, batch)
		for i := range documents {
			documents[i] = bson.D{{Key: "n", Value: i}}
		}
		_, err := coll.InsertMany(s.Context(), documents)
		s.must(err)
	}
}

// mixedTransaction creates a collection and inserts size MB in one transaction: one entry, or a chain if
// it exceeds 16 MB.
func mixedTransaction(s *scene, name string, size int) error {
	db := s.client.Database(loadDatabase + "_mixed")
	session, err := s.client.StartSession()
	if err != nil {
		return err
	}
	defer session.EndSession(s.Context())
	// In a transaction, create accepts only read concern local.
	o := options.Transaction().SetReadConcern(readconcern.Local()).SetWriteConcern(writeconcern.Majority())
	// A server with a small cache aborts a large transaction while others fill the cache: retry.
	const attempts = 40
	for range attempts {
		_, err = session.WithTransaction(s.Context(), func(ctx context.Context) (any, error) {
			return nil, writeMixed(ctx, db, name, size)
		}, o)
		var refused mongo.CommandError
		if !errors.As(err, &refused) || refused.Name != "TransactionTooLargeForCache" {
			break
		}
		s.while(500, 1500)
	}
	effect := ledger.Effect{Operation: "CREATE_COLLECTION", NS: db.Name() + "." + name}
	if err != nil {
		s.ledger.Doubtful(err, effect)
		return fmt.Errorf("a transaction of %d MB: %w", size, err)
	}
	s.ledger.Acknowledged(effect)
	return nil
}

func writeMixed(ctx context.Context, db *mongo.Database, name string, size int) error {
	if err := db.CreateCollection(ctx, name); err != nil {
		return err
	}
	pad := strings.Repeat("x", mB)
	for range size {
		if _, err := db.Collection(name).InsertOne(ctx, bson.D{{Key: "pad", Value: pad}}); err != nil {
			return err
		}
	}
	return nil
}

// watchCatchUp samples the resident memory until ddltail has caught up.
func watchCatchUp(s *scene, p *ddltailtest.Process) []int {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 10*time.Minute)
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- p.WaitReady(ctx) }()
	var resident []int
	for {
		select {
		case err := <-ready:
			s.must(err)
			return append(resident, memory(s, p, "VmRSS"))
		case <-time.After(time.Second):
			resident = append(resident, memory(s, p, "VmRSS"))
		}
	}
}
