package mongodb

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/test/mongotest"
	"github.com/ddltail/ddltail/test/sinktest"
)

func TestSink(t *testing.T) {
	server := mongotest.NewStandalone(t, mongotest.Options{})
	client, err := store.Connect(options.Client().ApplyURI(server.URI()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(t.Context()) })
	sinktest.Run(t, func(t *testing.T) sinktest.Target {
		db := client.Database("ddl_" + bson.NewObjectID().Hex())
		return sinktest.Target{
			Open: func(t *testing.T) sink.Sink {
				s := newQueue("mongodb")
				if err := s.Setup(t.Context(), sink.Own{Database: db}); err != nil {
					t.Fatal(err)
				}
				return s
			},
			Read: func(t *testing.T, _ string) []string { return documents(t, db) },
			Once: true,
			Kill: server.Kill, Restart: func() error { return server.Restart(t.Context()) },
			Pause: server.Pause, Resume: server.Resume,
		}
	})
}

// TestWrittenByAnother: the documents that another ddltail has written are read by one command, and the others are inserted in their order.
func TestWrittenByAnother(t *testing.T) {
	server := mongotest.NewStandalone(t, mongotest.Options{})
	var commands atomic.Int32
	client, err := store.Connect(options.Client().ApplyURI(server.URI()).SetMonitor(&event.CommandMonitor{
		Started: func(_ context.Context, e *event.CommandStartedEvent) {
			if e.CommandName == "insert" || e.CommandName == "find" {
				commands.Add(1)
			}
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	db := client.Database("written")
	s := newQueue("mongodb")
	if err := s.Setup(t.Context(), sink.Own{Database: db}); err != nil {
		t.Fatal(err)
	}
	docs := sinktest.Documents(0, 200)
	if err := s.Write(t.Context(), docs[:150]); err != nil {
		t.Fatal(err)
	}
	commands.Store(0)
	if err := s.Write(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	if n := commands.Load(); n > 3 {
		t.Errorf("%d commands, want an insert, a find and an insert", n)
	}
	if got := documents(t, db); len(got) != len(docs) || !strings.Contains(got[199], docs[199].ID) {
		t.Errorf("%d documents, the last one is %s", len(got), got[len(got)-1])
	}
	other := docs[60]
	other.Change.Operation = notification.DropCollection
	if err := s.Write(t.Context(), []notification.Document{docs[59], other}); !errors.As(err, new(*sink.ConflictError)) {
		t.Errorf("another change with the _id of a stored one: %v", err)
	}
}

// TestCollation: a collection whose collation takes two ids for one is named.
func TestCollation(t *testing.T) {
	server := mongotest.NewStandalone(t, mongotest.Options{})
	client, err := store.Connect(options.Client().ApplyURI(server.URI()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	db := client.Database("collated")
	// Strength 1 compares neither case nor accents.
	if err := db.CreateCollection(t.Context(), store.Notifications, options.CreateCollection().SetCollation(&options.Collation{Locale: "en", Strength: 1})); err != nil {
		t.Fatal(err)
	}
	s := newQueue("mongodb")
	s.own = sink.Own{Database: db}
	doc := sinktest.Documents(0, 1)[0]
	doc.ID = "rs\u00e9" + doc.ID
	if err := s.Write(t.Context(), []notification.Document{doc}); err != nil {
		t.Fatal(err)
	}
	doc.ID = strings.Replace(doc.ID, "\u00e9", "e", 1)
	if err := s.Write(t.Context(), []notification.Document{doc}); err == nil || !strings.Contains(err.Error(), "collation") {
		t.Errorf("%v", err)
	}
}

// documents returns the queue in the order in which it was written.
func documents(t *testing.T, db *mongo.Database) []string {
	t.Helper()
	cursor, err := db.Collection(store.Notifications).Find(t.Context(), bson.D{{Key: "operation", Value: bson.D{{Key: "$exists", Value: true}}}},
		options.Find().SetSort(bson.D{{Key: "$natural", Value: 1}}))
	if err != nil {
		t.Fatal(err)
	}
	var docs []bson.D
	if err := cursor.All(t.Context(), &docs); err != nil {
		t.Fatal(err)
	}
	all := make([]string, len(docs))
	for i, d := range docs {
		text, err := bson.MarshalExtJSON(d, false, false)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = string(text)
	}
	return all
}
