package listener

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/ddltail/ddltail/internal/delivery"
)

// TestFirstFailing names the failing notification with the first position.
func TestFirstFailing(t *testing.T) {
	s := newScene(t, set.URI())
	doc := func(id string, more bson.M) bson.M {
		d := bson.M{"_id": id, "operation": "DROP_COLLECTION", "database": "d", "collection": "c", "timestamp": 1.0, "processed": false}
		for k, v := range more {
			d[k] = v
		}
		return d
	}
	at := func(second int) string { return fmt.Sprintf("rs0:%010d:0000000001:000000", second) }
	if f, err := FirstFailing(t.Context(), s.queue); err != nil || f != nil {
		t.Errorf("of nothing: %+v, %v", f, err)
	}
	s.insert(
		doc(at(1), nil),
		doc(at(2), bson.M{"processed": true, "attempts": 5, "last_error": "x"}),
		doc(at(3), bson.M{"attempts": 1, "last_error": "x", "deliveries": bson.M{"backend": bson.M{"state": "delivered"}, "chat": bson.M{"state": "expired", "attempts": 2}}}),
		doc(at(5), bson.M{"attempts": 5, "last_error": "late"}),
		doc(at(4), bson.M{"deliveries": bson.M{"chat": bson.M{"attempts": 7, "last_error": "answered 503"}}}),
	)
	want := Failing{ID: at(4), Operation: "DROP_COLLECTION", Subject: "d.c", Receiver: "chat", Attempts: 7, Reason: "answered 503"}
	if f, err := FirstFailing(t.Context(), s.queue); err != nil || f == nil || *f != want {
		t.Errorf("got %+v, %v", f, err)
	}
}

// collected is a target that notes what it gets.
type collected struct {
	mu  sync.Mutex
	ids []string
	// answer returns the outcome; nil accepts all.
	answer func() delivery.Outcome
}

func (c *collected) Deliver(_ context.Context, all []Notification) delivery.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := delivery.Outcome{Verdict: delivery.Delivered}
	if c.answer != nil {
		o = c.answer()
	}
	for _, n := range all {
		if o.Verdict == delivery.Delivered {
			id, _ := n.Document.Lookup("operation_statement").StringValueOK()
			c.ids = append(c.ids, id)
		}
	}
	return o
}

func (c *collected) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ids)
}

func unavailable() delivery.Outcome { return delivery.Outcome{Reason: "unavailable"} }

// TestUnequalReceivers has two listeners whose receivers differ, as while a file is rolled
// out. What one of them does not know holds it back nevertheless, and is not lost.
func TestUnequalReceivers(t *testing.T) {
	s := newScene(t, set.URI())
	one, both, other := &collected{}, &collected{}, &collected{answer: unavailable}
	s.listenTo(Receiver{Name: "both", Target: both})
	s.eventually("it is registered", func() bool { return s.count(bson.M{"_id": "init", "receivers.both": bson.M{"$type": "date"}}) == 1 })
	s.insert(hand("c", "before", now()))
	s.eventually("it is processed", func() bool { return s.count(bson.M{"processed": true}) == 1 })
	s.listenTo(
		Receiver{Name: "both", Target: both}, Receiver{Name: "other", Target: other},
		Receiver{Name: "one", Target: one, Includes: func(doc bson.Raw) bool { return text(doc, "collection") == "one" }},
	)
	s.eventually("all are registered", func() bool {
		return s.count(bson.M{"_id": "init", "receivers.both": bson.M{"$type": "date"}, "receivers.other": bson.M{"$type": "date"}}) == 1
	})
	s.insert(hand("c", "1", now()), hand("c", "2", now()), hand("one", "3", now()))
	s.eventually("those that are well have got all", func() bool { return len(both.got()) == 4 && len(one.got()) == 1 })
	time.Sleep(2 * time.Second) // a listener that does not know the other must not mark them for good
	s.eventually("nothing is processed that the other has not got", func() bool {
		return s.count(bson.M{"processed": true, "deliveries.other.state": nil, "operation_statement": bson.M{"$ne": "before"}}) == 0
	})
	other.mu.Lock()
	other.answer = nil
	other.mu.Unlock()
	s.eventually("all are processed", func() bool { return s.count(bson.M{"processed": true, "operation": bson.M{"$exists": true}}) == 4 })
	got := other.got()
	slices.Sort(got)
	if !slices.Equal(got, []string{"1", "2", "3"}) || len(both.got()) != 4 {
		t.Errorf("the other has got %q, both %q", got, both.got())
	}
}

// TestNewReceivers registers the same new receiver by several listeners at once, while
// notifications are written. It gets those that were written after its registration.
func TestNewReceivers(t *testing.T) {
	s := newScene(t, set.URI())
	for i := range 50 {
		s.insert(hand("old", fmt.Sprint("old ", i), now()))
	}
	target := &collected{}
	for range 3 {
		s.listenTo(Receiver{Name: "new", Target: target})
	}
	s.eventually("it is registered", func() bool { return s.count(bson.M{"_id": "init", "receivers.new": bson.M{"$type": "date"}}) == 1 })
	for i := range 50 {
		s.insert(hand(fmt.Sprint("c", i%5), fmt.Sprint("new ", i), now()))
	}
	s.eventually("all are processed", func() bool { return s.count(bson.M{"processed": true}) == 100 })
	if n := s.count(bson.M{"deliveries.new.state": "skipped"}); n != 50 {
		t.Errorf("%d are skipped, want 50", n)
	}
	if got := target.got(); len(got) != 50 || slices.ContainsFunc(got, func(id string) bool { return id[:3] == "old" }) {
		t.Errorf("got %q", got)
	}
}

// TestDuplicateOfOneFilter has a receiver whose filter selects only one of two notifications
// of one change: it gets that one.
func TestDuplicateOfOneFilter(t *testing.T) {
	s := newScene(t, set.URI())
	all, oplogOnly := &collected{}, &collected{}
	s.listenTo(
		Receiver{Name: "all", Target: all},
		Receiver{Name: "oplog", Target: oplogOnly, Includes: func(doc bson.Raw) bool { return text(doc, "source") == "oplog" }},
	)
	s.eventually("both are registered", func() bool { return s.count(bson.M{"_id": "init", "receivers.oplog": bson.M{"$type": "date"}}) == 1 })
	at := time.Now()
	s.insert(hand("c", "hand", float64(at.UnixMilli()-1500)/1000))
	s.eventually("the first is processed", func() bool { return s.count(bson.M{"processed": true}) == 1 })
	s.insert(tail(s.db.Name(), "c", 1, at))
	s.eventually("both are processed", func() bool { return s.count(bson.M{"processed": true}) == 2 })
	if !slices.Equal(all.got(), []string{"hand"}) || !slices.Equal(oplogOnly.got(), []string{"tail"}) {
		t.Errorf("all has got %q, the one with a filter %q", all.got(), oplogOnly.got())
	}
}

// TestResetByHand delivers again what someone marks as unprocessed.
func TestResetByHand(t *testing.T) {
	s := newScene(t, set.URI())
	backend, chat := &collected{}, &collected{}
	s.listenTo(Receiver{Name: BackendReceiver, Target: backend}, Receiver{Name: "chat", Target: chat})
	s.eventually("it is registered", func() bool { return s.count(bson.M{"_id": "init", "receivers.chat": bson.M{"$type": "date"}}) == 1 })
	s.insert(hand("c", "1", now()))
	for i := range 2 {
		s.eventually("it is processed", func() bool { return s.count(bson.M{"processed": true}) == 1 })
		if len(backend.got()) != i+1 || len(chat.got()) != i+1 {
			t.Errorf("round %d: the backend has got %q, chat %q", i, backend.got(), chat.got())
		}
		_, err := s.queue.UpdateOne(t.Context(), bson.M{"operation_statement": "1"}, bson.M{"$set": bson.M{"processed": false}})
		s.must(err)
	}
}

// TestBacklogOfAnother delivers to one receiver while another accepts nothing. What is pending
// for the other is not read again for each new notification.
func TestBacklogOfAnother(t *testing.T) {
	const backlog, notifications = 2000, 100
	s := newScene(t, set.URI())
	var read atomic.Int64
	own := s.monitored("", func(e *event.CommandSucceededEvent) {
		for _, batch := range []string{"firstBatch", "nextBatch"} {
			if docs, ok := e.Reply.Lookup("cursor", batch).ArrayOK(); ok {
				values, _ := docs.Values()
				read.Add(int64(len(values)))
			}
		}
	})
	well := &collected{}
	own.listenTo(
		Receiver{Name: "well", Target: well, Includes: func(doc bson.Raw) bool { return text(doc, "collection") == "c" }},
		Receiver{Name: "down", Target: &collected{answer: unavailable}},
	)
	s.eventually("both are registered", func() bool { return s.count(bson.M{"_id": "init", "receivers.down": bson.M{"$type": "date"}}) == 1 })
	var docs []bson.M
	for i := range backlog {
		docs = append(docs, hand(fmt.Sprint("other", i%20), fmt.Sprint(i), now()))
	}
	s.insert(docs...)
	s.eventually("the other was tried", func() bool { return s.count(bson.M{"deliveries.down.attempts": bson.M{"$gte": 2}}) == 20 })
	read.Store(0)
	for i := range notifications {
		s.insert(hand("c", fmt.Sprint("new ", i), now()))
		s.eventually("it is delivered", func() bool { return len(well.got()) == i+1 })
	}
	if n := read.Load(); n > notifications*backlog/4 {
		t.Errorf("%d documents were read for %d notifications", n, notifications)
	}
}
