package listener

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/test/mongotest"
)

// tail is the notification of the same change as hand(collection, statement, …), as
// `ddltail run` writes it.
func tail(database, collection string, i int, at time.Time) bson.M {
	ts := bson.Timestamp{T: uint32(at.Unix()), I: uint32(i)}
	return bson.M{
		"_id": fmt.Sprintf("rs0:%010d:%010d:000000", ts.T, ts.I), "operation": "MODIFY_COLLECTION", "collection": collection,
		"operation_statement": "tail", "timestamp": float64(at.UnixMilli()) / 1000, "processed": false, "source": "oplog",
		"database": database, "optime": bson.M{"ts": ts, "t": int64(1)},
	}
}

// TestPairsAtOnce writes both notifications of many changes at nearly one moment, in
// any order, while several listeners are at work on a backend that often fails. One
// of each pair must reach it, and be the only one.
func TestPairsAtOnce(t *testing.T) {
	for _, c := range []struct{ name, database, byHand string }{
		{"beside the changes", "", ""}, // filled in below
		{"elsewhere", "banking_db", "banking_db"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, set.URI())
			if c.database == "" {
				c.database = s.db.Name()
			}
			testPairsAtOnce(s, c.database, c.byHand)
		})
	}
}

func testPairsAtOnce(s scene, database, byHand string) {
	const changes = 100
	target := &received{answer: func(posted) delivery.Outcome {
		if rand.IntN(4) == 0 {
			return delivery.Outcome{Reason: "not now"}
		}
		return delivery.Outcome{Verdict: delivery.Delivered}
	}}
	for range 3 {
		s.listen(target)
	}
	var writers sync.WaitGroup
	for i := range changes {
		at := time.Now()
		tail := tail(database, fmt.Sprint("c", i), i, at)
		hand := hand(fmt.Sprint("c", i), "hand", float64(at.UnixMilli()-20+rand.Int64N(40))/1000)
		if byHand != "" {
			hand["database"] = byHand
		}
		for _, doc := range []bson.M{tail, hand} {
			writers.Go(func() {
				time.Sleep(time.Duration(rand.IntN(15)) * time.Millisecond)
				s.insert(doc)
			})
		}
		time.Sleep(5 * time.Millisecond)
	}
	writers.Wait()
	s.eventually("all are done", func() bool { return s.count(bson.M{"processed": true}) == 2*changes })
	if n := s.count(bson.M{"duplicate_of": bson.M{"$exists": true}, "attempts": bson.M{"$exists": false}}); n != changes {
		s.Errorf("%d duplicates that were never tried, want %d", n, changes)
	}
	first := map[string]int{}
	for i := range changes {
		for _, which := range target.statements(fmt.Sprint("c", i)) {
			first[which]++
		}
		if got := target.statements(fmt.Sprint("c", i)); len(got) == 0 || got[0] != got[len(got)-1] {
			s.Errorf("change %d reached the backend as %q", i, got)
		}
	}
	s.Logf("attempts by who was first: %v", first)
}

// TestPairsAnywhere detects duplicates where the queue does not imply the database of a change
// was made by hand: two partitions then belong to one change.
func TestPairsAnywhere(t *testing.T) {
	s := newScene(t, set.URI())
	s.must(s.db.Drop(t.Context()))
	s.db = s.db.Client().Database(anyDatabase)
	s.queue = s.db.Collection(s.queue.Name())
	s.must(Setup(t.Context(), s.db, ownindex.Create))
	testPairsAtOnce(s, "some_db", "")
}

// TestNoPairs checks what does not pair: those that are too far apart, two by hand,
// two from the oplog.
func TestNoPairs(t *testing.T) {
	s := newScene(t, set.URI())
	at := time.Now().Add(-time.Hour)
	seconds := float64(at.Unix())
	s.insert(
		hand("far", "1", seconds), tail(s.db.Name(), "far", 1, at.Add(11*time.Second)),
		hand("hands", "1", seconds), hand("hands", "2", seconds),
		tail(s.db.Name(), "tails", 2, at), tail(s.db.Name(), "tails", 3, at),
		hand("three", "1", bson.NewDateTimeFromTime(at)), hand("three", "2", int32(seconds)), tail(s.db.Name(), "three", 4, at),
		tail("other_db", "database", 5, at), hand("database", "1", seconds),
	)
	target := &received{}
	s.listen(target)
	s.eventually("all are done", func() bool { return s.count(bson.M{"processed": true}) == 11 })
	for collection, want := range map[string]int{"far": 2, "hands": 2, "tails": 2, "three": 2, "database": 2} {
		if got := target.statements(collection); len(got) != want {
			t.Errorf("%s: got %q", collection, got)
		}
	}
}

// TestStandalone listens by polling, until the server becomes a replica set.
func TestStandalone(t *testing.T) {
	server := mongotest.NewStandalone(t, mongotest.Options{})
	s := newScene(t, server.URI())
	target := &received{}
	l, _ := s.listen(target)
	s.eventually("it polls", func() bool { return l.Status.Mode() == Polling })
	for i := range 3 {
		s.insert(hand("c", fmt.Sprint(i), now()))
		s.eventually("it is delivered", func() bool { return len(target.statements("")) == i+1 })
	}
	s.must(server.Restart(t.Context(), "--replSet", "rs0"))
	s.eventually("the set has a primary", func() bool {
		admin := s.db.Client().Database("admin")
		// It fails if repeated, or while the server is starting.
		_ = admin.RunCommand(t.Context(), bson.D{{Key: "replSetInitiate", Value: bson.M{
			"_id": "rs0", "members": bson.A{bson.M{"_id": 0, "host": server.Addr()}},
		}}}).Err()
		var hello struct {
			Primary bool `bson:"isWritablePrimary"`
		}
		return admin.RunCommand(t.Context(), bson.D{{Key: "hello", Value: 1}}).Decode(&hello) == nil && hello.Primary
	})
	s.insert(hand("c", "3", now()))
	s.eventually("it is delivered", func() bool { return len(target.statements("")) == 4 })
	s.eventually("there is a change stream", func() bool { return l.Status.Mode() == Streaming })
	s.insert(hand("c", "4", now()))
	s.eventually("it is delivered", func() bool { return len(target.statements("")) == 5 })
}

// TestDropped drops the queue under a listener, which creates it again.
func TestDropped(t *testing.T) {
	s := newScene(t, set.URI())
	target := &received{}
	l, _ := s.listen(target)
	s.eventually("it listens", func() bool { return l.Status.Mode() == Streaming && l.Status.Ready() == nil })
	s.must(s.queue.Drop(t.Context()))
	s.eventually("the queue is recreated", func() bool {
		return s.count(bson.M{"_id": "init"}) == 1
	})
	s.insert(hand("c", "1", now()))
	s.eventually("it is delivered", func() bool { return len(target.statements("")) == 1 })
}
