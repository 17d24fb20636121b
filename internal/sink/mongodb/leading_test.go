package mongodb

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/test/mongotest"
	"github.com/ddltail/ddltail/test/sinktest"
)

func TestCovers(t *testing.T) {
	at := func(ts uint32, term int64) position { return position{bson.Timestamp{T: ts}, term} }
	for _, c := range []struct {
		name           string
		queue, history position
		want           bool
	}{
		{"later in the same term", at(5, 2), at(4, 2), true},
		{"at the same time, as for a document that is already stored", at(4, 2), at(4, 2), true},
		{"earlier in the same term", at(3, 2), at(4, 2), false},
		{"by another primary", at(5, 3), at(4, 2), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.queue.covers(c.history); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// leadingSinks are a history and a queue in a new database of a replica set.
type leadingSinks struct {
	*testing.T
	set            *mongotest.ReplicaSet
	db             *mongo.Database
	history, queue *Collection
}

func newLeadingSinks(t *testing.T) leadingSinks {
	set := mongotest.NewReplicaSet(t, mongotest.Options{})
	client, err := store.Connect(options.Client().ApplyURI(set.URI()))
	must(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	db, err := store.Database(t.Context(), client, "audit")
	must(t, err)
	history, queue := pair("mongodb")
	for _, c := range []*Collection{history, queue} {
		must(t, c.Setup(t.Context(), sink.Own{Database: db}))
	}
	return leadingSinks{t, set, db, history, queue}
}

// holds fails unless a collection has exactly these documents.
func (s leadingSinks) holds(collection string, want ...string) {
	s.Helper()
	cursor, err := s.db.Collection(collection).Find(s.Context(), bson.D{{Key: "operation", Value: bson.D{{Key: "$exists", Value: true}}}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	must(s.T, err)
	var docs []struct {
		ID string `bson:"_id"`
	}
	must(s.T, cursor.All(s.Context(), &docs))
	var got []string
	for _, d := range docs {
		got = append(got, d.ID)
	}
	if !slices.Equal(got, want) {
		s.Errorf("%s holds %q, want %q", collection, got, want)
	}
}

func TestQueueCoversHistory(t *testing.T) {
	s := newLeadingSinks(t)
	docs := sinktest.Documents(0, 3)
	must(t, s.history.WriteLeading(t.Context(), docs, s.queue))
	if len(s.history.leading.docs) != 3 {
		t.Fatal("the history waited for a majority")
	}
	must(t, s.queue.Write(t.Context(), docs[1:]))
	if s.history.leading.docs != nil {
		t.Error("the queue's acknowledgement did not cover the history")
	}
	s.holds(store.History, sinktest.IDs(docs)...)
	s.holds(store.Notifications, sinktest.IDs(docs[1:])...)

	// Both are written again, as after a crash.
	more := sinktest.Documents(0, 5)
	must(t, s.history.WriteLeading(t.Context(), more, s.queue))
	must(t, s.queue.Write(t.Context(), more))
	s.holds(store.History, sinktest.IDs(more)...)
	s.holds(store.Notifications, sinktest.IDs(more)...)
}

// TestStepDownBetweenHistoryAndQueue removes the history's documents, as a rollback does, while the
// primary steps down.
func TestStepDownBetweenHistoryAndQueue(t *testing.T) {
	s := newLeadingSinks(t)
	docs := sinktest.Documents(0, 3)
	must(t, s.history.WriteLeading(t.Context(), docs, s.queue))
	_, err := s.db.Collection(store.History).DeleteMany(t.Context(), bson.D{})
	must(t, err)
	stepDown(s)
	for {
		if err = s.queue.Write(t.Context(), docs); err == nil {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.holds(store.History, sinktest.IDs(docs)...)
	s.holds(store.Notifications, sinktest.IDs(docs)...)
}

// stepDown lets the only member step down; it is elected again, in another term.
func stepDown(s leadingSinks) {
	s.Helper()
	err := s.db.Client().Database("admin").RunCommand(s.Context(), bson.D{{Key: "replSetStepDown", Value: 1}, {Key: "force", Value: true}}).Err()
	if err != nil && !mongo.IsNetworkError(err) {
		s.Fatal(err)
	}
	_, err = s.set.WaitPrimary(s.Context())
	must(s.T, err)
}

// TestLeadingIsDurable: the history waits for a majority itself where the queue does not follow.
func TestLeadingIsDurable(t *testing.T) {
	s := newLeadingSinks(t)
	other := newQueue("other")
	must(t, s.history.WriteLeading(t.Context(), sinktest.Documents(0, 1), other))
	if s.history.leading.docs != nil {
		t.Error("another sink follows, and the history did not wait")
	}
	must(t, s.history.WriteLeading(t.Context(), sinktest.Documents(1, maxInsert+1), s.queue))
	if s.history.leading.docs != nil {
		t.Error("more documents than one command holds, and the history did not wait")
	}
	must(t, s.history.WriteLeading(t.Context(), sinktest.Documents(2000, 1), s.queue))
	must(t, s.history.Write(t.Context(), sinktest.Documents(2001, 1)))
	if s.history.leading.docs != nil {
		t.Error("a write of the history itself leaves others for the queue")
	}

	standalone := mongotest.NewStandalone(t, mongotest.Options{})
	client, err := store.Connect(options.Client().ApplyURI(standalone.URI()))
	must(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	history, queue := pair("mongodb")
	must(t, history.Setup(t.Context(), sink.Own{Database: client.Database("audit")}))
	must(t, history.WriteLeading(t.Context(), sinktest.Documents(0, 1), queue))
	if history.leading.docs != nil {
		t.Error("a standalone server has no terms, and the history did not wait")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
