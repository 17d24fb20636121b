package mongodb

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

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
