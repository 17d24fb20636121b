package listener

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// statements are those of all messages that a target has got.
type statements struct {
	mu  sync.Mutex
	all []string
}

func (s *statements) target(before func()) calling {
	return func(all []Notification) {
		before()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, n := range all {
			s.all = append(s.all, n.Document.Lookup("operation_statement").StringValue())
		}
	}
}

func (s *statements) sorted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.all))
}

// refuse sets a validator that refuses updates of the statement "refused".
func (s scene) refuse() {
	s.Helper()
	s.must(s.db.RunCommand(s.Context(), bson.D{{Key: "collMod", Value: s.queue.Name()},
		{Key: "validator", Value: bson.D{{Key: "operation_statement", Value: bson.D{{Key: "$ne", Value: "refused"}}}}}}).Err())
}

// TestDigestWithRefused: a notification that the server refuses to update holds up its collection, not the others of a digest.
func TestDigestWithRefused(t *testing.T) {
	s := newScene(t, set.URI())
	var got statements
	chat := Receiver{Name: "chat", Target: got.target(func() {}), Digest: 200 * time.Millisecond}
	s.registered(chat)
	s.insert(hand("a", "1", now()-9), hand("b", "refused", now()-8), hand("b", "behind", now()-7), hand("c", "2", now()-6))
	s.refuse()
	l, stop := s.listenTo(chat)
	s.eventually("the others are delivered", func() bool { return len(got.sorted()) == 2 })
	s.eventually("the refusal is reported", func() bool { return l.Status.Ready() != nil })
	s.insert(hand("d", "3", now()))
	s.eventually("a later one is delivered", func() bool { return len(got.sorted()) == 3 })
	s.must(s.db.RunCommand(t.Context(), bson.D{{Key: "collMod", Value: s.queue.Name()}, {Key: "validator", Value: bson.D{}}}).Err())
	s.eventually("all are processed", func() bool { return s.count(bson.M{"processed": true}) == 5 })
	stop()
	if want := []string{"1", "2", "3", "behind", "refused"}; !slices.Equal(got.sorted(), want) {
		t.Errorf("%q, want %q", got.sorted(), want)
	}
}

// TestMarkingRefused: if the server refuses to mark one notification of a message, the others are marked, in all their hundreds, and
// later ones are delivered.
func TestMarkingRefused(t *testing.T) {
	s := newScene(t, set.URI())
	var got statements
	var once sync.Once
	chat := Receiver{Name: "chat", Target: got.target(func() { once.Do(s.refuse) }), Digest: 200 * time.Millisecond}
	s.registered(chat)
	docs := []bson.M{hand("x", "refused", now()-9)}
	for i := range maxBulk + 100 {
		docs = append(docs, hand(fmt.Sprint("c", i), fmt.Sprint(i), now()-8))
	}
	s.insert(docs...)
	_, stop := s.listenTo(chat)
	s.eventually("the others are processed", func() bool { return s.count(bson.M{"processed": true}) == maxBulk+100 })
	s.insert(hand("later", "later", now()))
	s.eventually("a later one is processed", func() bool { return s.count(bson.M{"processed": true}) == maxBulk+101 })
	stop()
	if n := len(got.sorted()); n != maxBulk+102 {
		t.Errorf("%d were delivered, want each of %d once", n, maxBulk+102)
	}
}

// TestReceiverAdded: whatever an unprocessed document has in the listener's fields, a receiver can be added.
func TestReceiverAdded(t *testing.T) {
	for i, deliveries := range []any{nil, "x", 5, bson.A{}, bson.A{bson.M{"new": 1}}, bson.M{"new": 1}, bson.M{"new": bson.A{bson.M{"state": 1}}}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := newScene(t, set.URI())
			doc := hand("old", "old", now()-60)
			doc["deliveries"] = deliveries
			s.insert(doc, hand("refused", "refused", now()-50))
			if i%2 == 0 {
				s.refuse()
			}
			var got, backend statements
			_, stop := s.listenTo(Receiver{Name: "backend", Target: backend.target(func() {})}, Receiver{Name: "new", Target: got.target(func() {})})
			s.eventually("it is registered", func() bool { return s.count(bson.M{"_id": "init", "receivers.new": bson.M{"$type": "date"}}) == 1 })
			s.insert(hand("c", "new", now()))
			s.eventually("both have it", func() bool {
				return slices.Contains(got.sorted(), "new") && slices.Contains(backend.sorted(), "new")
			})
			stop()
			if slices.Contains(got.sorted(), "old") {
				t.Errorf("the new receiver got what was older: %q", got.sorted())
			}
		})
	}
}

// registered adds a receiver to the registry, so that what is inserted later is for it.
func (s scene) registered(r Receiver) {
	s.Helper()
	_, stop := s.listenTo(r)
	s.eventually("it is registered", func() bool {
		return s.count(bson.M{"_id": "init", "receivers." + r.Name: bson.M{"$type": "date"}}) == 1
	})
	stop()
}
