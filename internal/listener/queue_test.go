package listener

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/test/mongotest"
)

var backendOnly = Receiver{Name: BackendReceiver}

func value(id any) bson.RawValue {
	kind, data, err := bson.MarshalValue(id)
	if err != nil {
		panic(err)
	}
	return bson.RawValue{Type: kind, Value: data}
}

// TestClaim checks which notifications can be claimed. Server 4.4 rejects updates that newer
// versions accept.
func TestClaim(t *testing.T) {
	for _, version := range []string{"", "4.4.2"} {
		t.Run("mongod "+version, func(t *testing.T) {
			uri := set.URI()
			if version != "" {
				uri = mongotest.NewStandalone(t, mongotest.Options{Version: version}).URI()
			}
			testClaim(newScene(t, uri))
		})
	}
}

func testClaim(s scene) {
	ago := func(d time.Duration) bson.DateTime { return bson.NewDateTimeFromTime(time.Now().Add(-d)) }
	validator := bson.D{{Key: "$jsonSchema", Value: bson.D{{Key: "required", Value: bson.A{"a"}}}}, {Key: "a.b", Value: bson.D{{Key: "$gt", Value: 1}}}}
	for id, c := range []struct {
		claim, processed any
		free             bool
	}{
		{nil, false, true},
		{nil, nil, true},
		{nil, true, false},
		{bson.M{"by": "other", "at": ago(0), "for": 20_000}, false, false},
		{bson.M{"by": "other", "at": ago(21 * time.Second), "for": 20_000}, false, true},
		{bson.M{"by": "me", "at": ago(0), "for": 20_000}, false, true},
		{bson.M{"at": ago(0), "for": 5_000, "since": ago(time.Minute)}, false, false},
		{bson.M{"at": ago(6 * time.Second), "for": 5_000}, false, true},
		{bson.M{"at": ago(2 * time.Hour), "for": int64(1) << 60}, false, true},
		{bson.M{"at": "yesterday", "for": "ever"}, false, true},
		{bson.A{1, 2}, false, true},
		{bson.A{bson.M{"by": "other"}}, false, true},
		{"mine", false, true},
	} {
		doc := bson.D{
			{Key: "_id", Value: id}, {Key: "operation", Value: "X"}, {Key: "processed", Value: c.processed},
			{Key: "after", Value: bson.D{{Key: "validator", Value: validator}, {Key: "key", Value: bson.D{{Key: "a.b", Value: 1}, {Key: "$**", Value: 1}}}}},
		}
		if c.claim != nil {
			doc = append(doc, bson.E{Key: "claim", Value: c.claim})
		}
		_, err := s.queue.InsertOne(s.Context(), doc)
		s.must(err)
		me := queue{coll: s.queue, id: "me"}
		n, there, err := me.peek(s.Context(), value(id))
		s.must(err)
		got, ok, err := me.claim(s.Context(), backendOnly, value(id))
		if err != nil || !there || ok != c.free {
			s.Errorf("%d, %v: claimed %v, %v", id, c.claim, ok, err)
		}
		if free := n.pending && (n.wait() == 0 || n.claimedBy == "me"); free != c.free {
			s.Errorf("%d, %v: seen as free %v", id, c.claim, free)
		}
		if ok {
			failed := me.toFailed(backendOnly, parseRecord(got), delivery.Outcome{Reason: "x"}, time.Second)
			s.must(me.apply(s.Context(), backendOnly, value(id), failed))
		}
	}
	if n := s.count(bson.M{"attempts": 1, "claim.since": bson.M{"$type": "date"}, "claim.by": nil, "claim.for": 1000}); n != 10 {
		s.Errorf("%d have been marked as failed, want 10", n)
	}
}

// TestClaimedOnce has many listeners claim the same notifications at one moment.
func TestClaimedOnce(t *testing.T) {
	s := newScene(t, set.URI())
	for id := range 20 {
		s.insert(bson.M{"_id": id, "operation": "X", "collection": "c", "processed": false})
	}
	var mu sync.Mutex
	took := map[int]int{}
	var all sync.WaitGroup
	for i := range 8 {
		me := queue{coll: s.queue, id: fmt.Sprint(i)}
		all.Go(func() {
			for id := range 20 {
				if _, ok, err := me.claim(t.Context(), backendOnly, value(id)); err != nil {
					t.Error(err)
				} else if ok {
					mu.Lock()
					took[id]++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	for id := range 20 {
		if took[id] != 1 {
			t.Errorf("%d was taken %d times", id, took[id])
		}
	}
}

// TestScanUsesIndex checks that a scan does not read processed notifications.
func TestScanUsesIndex(t *testing.T) {
	s := newScene(t, set.URI())
	old := make([]bson.M, 5000)
	for i := range old {
		old[i] = bson.M{"operation": "X", "collection": "c", "timestamp": i, "processed": true}
	}
	s.insert(old...)
	s.insert(hand("c", "1", 1), bson.M{"operation": "Y", "collection": "c"}, bson.M{"operation": "Z", "processed": nil})
	var plan struct {
		Stats struct {
			Returned int `bson:"nReturned"`
			Docs     int `bson:"totalDocsExamined"`
		} `bson:"executionStats"`
	}
	s.must(s.db.RunCommand(t.Context(), bson.D{{Key: "explain", Value: bson.D{
		{Key: "find", Value: s.queue.Name()}, {Key: "filter", Value: unprocessed()}, {Key: "projection", Value: columns()},
	}}, {Key: "verbosity", Value: "executionStats"}}, options.RunCmd()).Decode(&plan))
	if plan.Stats.Returned != 3 || plan.Stats.Docs > 5 {
		t.Errorf("%+v", plan.Stats)
	}
}

// TestOrderKept lets several listeners work on one queue, some of them for a short
// time only, while it is filled. No collection may get out of order, and nothing
// may be delivered twice as long as no listener dies.
func TestOrderKept(t *testing.T) {
	s := newScene(t, set.URI())
	const partitions, each = 5, 60
	target := &received{slow: 10 * time.Millisecond}
	s.listen(target)
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		for i := range each {
			for l := range partitions {
				s.insert(hand(fmt.Sprint("c", l), fmt.Sprint(i), now()))
			}
		}
	}()
	for range 6 {
		_, stop := s.listen(target)
		time.Sleep(100 * time.Millisecond)
		stop()
	}
	<-filled
	s.eventually("all are done", func() bool { return s.count(bson.M{"processed": false}) == 0 })
	var want []string
	for i := range each {
		want = append(want, fmt.Sprint(i))
	}
	for l := range partitions {
		if got := target.statements(fmt.Sprint("c", l)); !slices.Equal(got, want) {
			t.Errorf("collection %d: got %q", l, got)
		}
	}
}
