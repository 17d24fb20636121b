package history

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// defaultKills is the number of kills of `run`, if DDLTAIL_TEST_KILLS is not set.
const defaultKills = 8

// TestKilledBetweenWrites kills `run` while it publishes changes, and checks that queue,
// history and catalog agree with the changes made.
func TestKilledBetweenWrites(t *testing.T) {
	kills := defaultKills
	if text := os.Getenv("DDLTAIL_TEST_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	client := mongotest.Connect(t, set.URI())
	variables := []string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=killed"}
	db := client.Database("killed")
	l := &load{db: client.Database("loaded")}
	p, err := ddltailtest.Start(binary, []string{"run"}, variables...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for round := range kills {
		if err := p.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			working.Go(func() { l.change(ctx, t) })
			working.Go(func() { l.write(ctx) })
		}
		afterWrite(t, db)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if p, err = ddltailtest.Start(binary, []string{"run"}, variables...); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	working.Wait()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	agree(t, db, l.published, kills)
	if r := healthy(t, variables); len(r.Catalog.Differences) != 0 {
		t.Errorf("the catalog differs: %q", r.Catalog.Differences)
	}
}

// afterWrite waits until a change is in the history, and then for a random time within
// which its other writes may happen.
func afterWrite(t *testing.T, db *mongo.Database) {
	t.Helper()
	newest := func() string {
		var doc struct {
			ID string `bson:"_id"`
		}
		err := db.Collection("schema_history").FindOne(t.Context(), bson.D{}, options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}})).Decode(&doc)
		if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
			t.Fatal(err)
		}
		return doc.ID
	}
	for was, end := newest(), time.Now().Add(20*time.Second); newest() == was; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no change is written to the history")
		}
	}
	time.Sleep(time.Duration(rand.IntN(12_000)) * time.Microsecond)
}

// load changes the schema and writes documents until its context ends.
type load struct {
	db *mongo.Database
	// published are the changes that were made, as operation and namespace.
	published []string
}

func (l *load) change(ctx context.Context, t *testing.T) {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("c%05d", i)
		coll := l.db.Collection(name)
		steps := []struct {
			operation string
			do        func() error
		}{
			{"CREATE_COLLECTION", func() error { return l.db.CreateCollection(t.Context(), name) }},
			{"CREATE_INDEX", func() error {
				_, err := coll.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: "a", Value: 1}}})
				return err
			}},
			{"MODIFY_COLLECTION", func() error {
				return l.db.RunCommand(t.Context(), bson.D{{Key: "collMod", Value: name}, {Key: "validator", Value: bson.D{{Key: "a", Value: i}}}}).Err()
			}},
			{"DROP_COLLECTION", func() error { return coll.Drop(t.Context()) }},
		}
		if i%10 == 0 {
			// Some collections are kept, so that the catalog is not empty at the end.
			steps = steps[:3]
		}
		for _, step := range steps {
			if err := step.do(); err != nil {
				t.Errorf("%s of %s: %v", step.operation, name, err)
				return
			}
			l.published = append(l.published, step.operation+" loaded."+name)
		}
	}
}

func (l *load) write(ctx context.Context) {
	docs := make([]any, 50)
	for i := range docs {
		docs[i] = bson.D{{Key: "pad", Value: "some words"}}
	}
	for ctx.Err() == nil {
		// The last insert may be cancelled.
		_, _ = l.db.Collection("written").InsertMany(ctx, docs)
		time.Sleep(5 * time.Millisecond)
	}
}

// agree waits for the last change and compares the three collections with the changes
// made.
func agree(t *testing.T, db *mongo.Database, published []string, kills int) {
	t.Helper()
	var queue, history []bson.D
	for end := time.Now().Add(60 * time.Second); len(queue) < len(published); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d changes are in the queue", len(queue), len(published))
		}
		queue = changesOf(t, db, "schema_notifications")
	}
	history = changesOf(t, db, "schema_history")
	var inQueue []string
	for i, doc := range queue {
		inQueue = append(inQueue, fmt.Sprint(valueOf(doc, "operation"), " ", valueOf(doc, "ns")))
		if i < len(history) && fmt.Sprint(doc) != fmt.Sprint(history[i]) {
			t.Errorf("the queue has\n%v\nthe history\n%v", doc, history[i])
		}
	}
	if !slices.Equal(inQueue, published) || len(history) != len(queue) {
		t.Errorf("%d changes were made, %d are in the queue, %d in the history", len(published), len(inQueue), len(history))
	}
	versions := versionsOf(t, db)
	for _, doc := range history {
		key := fmt.Sprint(valueOf(doc, "ns"), valueOf(doc, "optime"))
		if !versions[key] {
			t.Errorf("no version of %s", key)
		}
		delete(versions, key)
	}
	if len(versions) != 0 {
		t.Errorf("versions without a change: %v", slices.Collect(maps.Keys(versions)))
	}
	t.Logf("%d kills in %d changes: queue, history and catalog agree", kills, len(published))
}

// changesOf returns the documents of the load's changes, without fields that may differ
// if a change is written again.
func changesOf(t *testing.T, db *mongo.Database, collection string) []bson.D {
	t.Helper()
	cur, err := db.Collection(collection).Find(t.Context(), bson.D{{Key: "database", Value: "loaded"}, {Key: "collection", Value: bson.D{{Key: "$ne", Value: "written"}}}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).
			SetProjection(bson.D{{Key: "processed", Value: 0}, {Key: "detected_at", Value: 0}, {Key: "build_seconds", Value: 0}}))
	if err != nil {
		t.Fatal(err)
	}
	var docs []bson.D
	if err := cur.All(t.Context(), &docs); err != nil {
		t.Fatal(err)
	}
	return docs
}

func versionsOf(t *testing.T, db *mongo.Database) map[string]bool {
	t.Helper()
	cur, err := db.Collection("schema_catalog").Find(t.Context(), bson.D{{Key: "database", Value: "loaded"}, {Key: "collection", Value: bson.D{{Key: "$ne", Value: "written"}}}})
	if err != nil {
		t.Fatal(err)
	}
	var docs []bson.D
	if err := cur.All(t.Context(), &docs); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, doc := range docs {
		found[fmt.Sprint(valueOf(doc, "ns"), valueOf(doc, "optime"))] = true
	}
	return found
}

func valueOf(doc bson.D, key string) any {
	for _, e := range doc {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}
