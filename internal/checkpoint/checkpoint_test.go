package checkpoint_test

import (
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/goleak"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/test/mongotest"
)

var set *mongotest.ReplicaSet

func TestMain(m *testing.M) { goleak.VerifyTestMain(mongotest.Main{Tests: m, Set: &set}) }

var (
	own   = bson.NewObjectID()
	other = bson.NewObjectID()
)

func at(seconds uint32) oplog.Moment {
	return oplog.Moment{
		OpTime: oplog.OpTime{TS: bson.Timestamp{T: seconds, I: 1}, Term: 1},
		Wall:   time.Unix(int64(seconds), 0).UTC(),
	}
}

// collection returns an empty collection, majority concern as ddltail's own clients have it.
func collection(t *testing.T) *mongo.Collection {
	return mongotest.Connect(t, set.URI()).Database("checkpoint_" + bson.NewObjectID().Hex()).Collection("schema_checkpoints")
}

// newStore creates the checkpoint rs0:NAME at second 100, in a database of its own.
func newStore(t *testing.T, names ...string) []checkpoint.Store {
	t.Helper()
	coll := collection(t)
	var stores []checkpoint.Store
	for _, name := range names {
		s := checkpoint.NewStore(coll, "rs0", name)
		if err := s.Setup(t.Context(), ownindex.Create); err != nil {
			t.Fatal(err)
		}
		first := checkpoint.Checkpoint{Source: "rs0", Name: name, Position: at(100), ReplicaSetID: own}
		if _, err := s.Create(t.Context(), first, false); err != nil {
			t.Fatal(err)
		}
		stores = append(stores, s)
	}
	return stores
}

func position(t *testing.T, s checkpoint.Store) checkpoint.Checkpoint {
	t.Helper()
	c, ok, err := s.Load(t.Context())
	if err != nil || !ok {
		t.Fatalf("load: %v, stored: %t", err, ok)
	}
	return c
}

// TestAdvance: the position moves forward only, and only for the set that owns it.
func TestAdvance(t *testing.T) {
	for _, c := range []struct {
		why  string
		to   oplog.Moment
		set  bson.ObjectID
		want oplog.Moment
	}{
		{"forward", at(200), own, at(200)},
		{"back", at(50), own, at(100)},
		{"to where it is", at(100), own, at(100)},
		{"by another set", at(200), other, at(100)},
	} {
		t.Run(c.why, func(t *testing.T) {
			s := newStore(t, "default")[0]
			stored, err := s.Advance(t.Context(), c.to, c.set)
			if err != nil {
				t.Fatal(err)
			}
			if got := position(t, s); got.Position.OpTime != c.want.OpTime || stored.Position.OpTime != c.want.OpTime {
				t.Errorf("stored %s, returned %s, want %s", got.Position, stored.Position, c.want)
			}
		})
	}
}

// TestAdvanceMissing: a checkpoint that was deleted is an error, never created silently.
func TestAdvanceMissing(t *testing.T) {
	s := checkpoint.NewStore(collection(t), "rs0", "default")
	if _, err := s.Advance(t.Context(), at(200), own); !errors.Is(err, checkpoint.ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
}

// TestCreate: of two processes that start at once the first one wins.
func TestCreate(t *testing.T) {
	s := newStore(t, "default")[0]
	stored, err := s.Create(t.Context(), checkpoint.Checkpoint{Source: "rs0", Name: "default", Position: at(500)}, false)
	if err != nil {
		t.Fatal(err)
	}
	if stored.Position.OpTime != at(100).OpTime {
		t.Errorf("got %s, want the position of the first process", stored.Position)
	}
}

// TestOneQueue: of the NAMEs of a source only one fills the queue.
func TestOneQueue(t *testing.T) {
	stores := newStore(t, "default", "second")
	settings := checkpoint.Settings{Sinks: []string{"mongodb"}}
	if err := stores[0].RecordSettings(t.Context(), settings, true); err != nil {
		t.Fatal(err)
	}
	if err := stores[1].RecordSettings(t.Context(), settings, true); !errors.Is(err, checkpoint.ErrQueueTaken) {
		t.Errorf("got %v, want ErrQueueTaken", err)
	}
}

// TestCheckQueue: where the unique index is missing, another NAME with the queue is found.
func TestCheckQueue(t *testing.T) {
	coll := collection(t)
	first, second := checkpoint.NewStore(coll, "rs0", "default"), checkpoint.NewStore(coll, "rs0", "second")
	if err := second.CheckQueue(t.Context()); err != nil {
		t.Errorf("nothing is stored: %v", err)
	}
	if _, err := first.Create(t.Context(), checkpoint.Checkpoint{Source: "rs0", Name: "default", Position: at(100)}, true); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		source, name string
		taken        bool
	}{{"rs0", "default", false}, {"rs0", "second", true}, {"other", "second", false}} {
		err := checkpoint.NewStore(coll, c.source, c.name).CheckQueue(t.Context())
		if errors.Is(err, checkpoint.ErrQueueTaken) != c.taken {
			t.Errorf("source %s, name %s: got %v, taken: %t", c.source, c.name, err, c.taken)
		}
	}
}

// TestComparison: one process at a time compares, at the position it read, and what it
// recorded is completed once.
func TestComparison(t *testing.T) {
	s := newStore(t, "default")[0]
	lease := func(holder string, position oplog.OpTime, want bool) {
		t.Helper()
		if got, err := s.Lease(t.Context(), position, holder); err != nil || got != want {
			t.Fatalf("lease of %s at %s: got %t, %v, want %t", holder, position, got, err, want)
		}
	}
	lease("one", at(100).OpTime, true)
	lease("one", at(100).OpTime, true)
	lease("two", at(100).OpTime, false)
	c := checkpoint.Comparison{From: at(100), To: at(300), Gap: true, Listed: at(400), Known: at(100).OpTime}
	record := func(holder string, position oplog.OpTime, want bool) {
		t.Helper()
		if got, err := s.Record(t.Context(), position, holder, c, own); err != nil || got != want {
			t.Fatalf("record by %s at %s: got %t, %v, want %t", holder, position, got, err, want)
		}
	}
	record("two", at(100).OpTime, false)
	record("one", at(99).OpTime, false)
	record("one", at(100).OpTime, true)
	record("one", at(100).OpTime, false)
	if got := position(t, s); got.Pending == nil || got.Pending.To.OpTime != at(300).OpTime || got.Position.OpTime != at(100).OpTime {
		t.Fatalf("after the record: %+v", got)
	}
	for range 2 { // completing it is idempotent
		if err := s.Settle(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if got := position(t, s); got.Pending != nil || got.Position.OpTime != at(300).OpTime {
			t.Fatalf("after the comparison: %+v", got)
		}
	}
}

// TestTakeOwnership: that a checkpoint was of another set stays known until the gap is published, whoever reads it.
func TestTakeOwnership(t *testing.T) {
	s := newStore(t, "default")[0]
	from := position(t, s)
	for attempt, want := range []bool{true, false} {
		if got, err := s.TakeOwnership(t.Context(), from, other); got != want || err != nil {
			t.Fatalf("attempt %d: %v, %v", attempt, got, err)
		}
	}
	if got := position(t, s); !got.Replaced || got.ReplicaSetID != other || got.Position.OpTime != from.Position.OpTime {
		t.Fatalf("after it was taken over: %+v", got)
	}
	if _, err := s.Lease(t.Context(), at(100).OpTime, "one"); err != nil {
		t.Fatal(err)
	}
	c := checkpoint.Comparison{From: at(100), To: at(300), Gap: true, Listed: at(300)}
	if _, err := s.Record(t.Context(), at(100).OpTime, "one", c, other); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := position(t, s); got.Replaced || got.Position.OpTime != at(300).OpTime {
		t.Errorf("after the gap: %+v", got)
	}
}

// TestOfSource: every NAME of a source is found, and no other source.
func TestOfSource(t *testing.T) {
	coll := collection(t)
	for _, id := range [][2]string{{"rs0", "default"}, {"rs0", "second"}, {"rs1", "default"}} {
		s := checkpoint.NewStore(coll, id[0], id[1])
		c := checkpoint.Checkpoint{Source: id[0], Name: id[1], Position: at(100)}
		if _, err := s.Create(t.Context(), c, id[1] == "second"); err != nil {
			t.Fatal(err)
		}
	}
	all, err := checkpoint.OfSource(t.Context(), coll, "rs0")
	if err != nil || len(all) != 2 {
		t.Errorf("of rs0: %+v, %v", all, err)
	}
	queue, err := checkpoint.OfQueue(t.Context(), coll)
	if err != nil || len(queue) != 1 || queue[0].Name != "second" {
		t.Errorf("of the queue: %+v, %v", queue, err)
	}
}
