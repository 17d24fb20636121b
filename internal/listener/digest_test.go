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

// TestDigestGathers sends records again as one message if their claims or backoffs end at
// nearly the same time.
func TestDigestGathers(t *testing.T) {
	w := &loop{Listener: &Listener{}}
	d := w.newDispatcher(Receiver{Name: "chat", Digest: time.Second})
	found := newBacklog("queue_db")
	for i, wait := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond, 10 * time.Second} {
		n := parseRecord(raw(t, bson.M{
			"_id": i, "operation": "MODIFY_COLLECTION", "database": "d", "collection": fmt.Sprint("c", i),
			"timestamp": float64(noon.Unix() - 60), "processed": false,
		}))
		n.now, n.free = noon, noon.Add(wait)
		found.add(n)
	}
	d.scheduler.update(found, noon)
	runs := 0
	run := func(func() end) { runs++ }
	d.start(t.Context(), noon, run)
	if at := d.nextWake(noon); runs != 0 || !at.Equal(noon.Add(20*time.Millisecond)) && !at.Equal(noon.Add(time.Millisecond)) {
		t.Errorf("%d messages at once, the next wake after %s", runs, at.Sub(noon))
	}
	d.start(t.Context(), noon.Add(time.Millisecond), run)
	if runs != 0 {
		t.Errorf("%d messages before the last backoff ends", runs)
	}
	d.start(t.Context(), noon.Add(20*time.Millisecond), run)
	if runs != 1 || len(d.scheduler.ready) != 0 || len(d.scheduler.waiting) != 1 {
		t.Errorf("%d messages, %d are ready and %d waiting", runs, len(d.scheduler.ready), len(d.scheduler.waiting))
	}
}

// digestScene is a dispatcher of a digest with old records, without a queue.
type digestScene struct {
	*testing.T
	*dispatcher
	found *backlog
	now   time.Time
}

func newDigestScene(t *testing.T, r Receiver, records int) *digestScene {
	t.Helper()
	w := &loop{Listener: &Listener{}}
	s := &digestScene{T: t, dispatcher: w.newDispatcher(r), found: newBacklog("queue_db"), now: noon}
	for i := range records {
		n := parseRecord(raw(t, bson.M{
			"_id": i, "operation": "MODIFY_COLLECTION", "database": "d", "collection": fmt.Sprint("c", i),
			"timestamp": float64(noon.Unix() - 60), "processed": false,
		}))
		n.now = noon
		s.found.add(n)
	}
	s.scheduler.update(s.found, noon)
	return s
}

// send starts what is due, and returns the keys of the message, nil if none is sent.
func (s *digestScene) send() []string {
	started := false
	s.start(s.Context(), s.now, func(func() end) { started = true })
	if !started {
		return nil
	}
	var keys []string
	for key, n := range s.scheduler.nodes {
		if n.busy {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// back ends the message, and scans.
func (s *digestScene) back(keys []string, p pause) {
	s.finish(result{digest: keys, pause: p}, s.now)
	s.scheduler.update(s.found, s.now)
	s.now = s.now.Add(10 * time.Millisecond)
}

// TestDigestSplit sends half of a rejected message, not before the rate allows it.
func TestDigestSplit(t *testing.T) {
	s := newDigestScene(t, Receiver{Name: "chat", Digest: time.Second, Interval: time.Second}, 5)
	for i, want := range []int{5, 2, 1, 5} {
		keys := s.send()
		if len(keys) != want {
			t.Fatalf("message %d has %d notifications, want %d", i, len(keys), want)
		}
		p := pause{length: time.Millisecond, split: want / 2}
		if want == 1 {
			p = pause{} // rejected alone
		}
		s.back(keys, p)
		if early := s.send(); early != nil {
			t.Errorf("message %d is followed at once by one of %d", i, len(early))
		}
		s.now = s.now.Add(time.Second)
	}
}

// TestDigestProbes refuses everything before the first 2xx. The notifications are attempted one by
// one, each before any is attempted again, until one is accepted: then the rest is one message.
func TestDigestProbes(t *testing.T) {
	s := newDigestScene(t, Receiver{Name: "chat", Digest: time.Second}, 3)
	refused := delivery.Outcome{Verdict: delivery.Refused, Reason: "400"}
	all := s.send()
	if len(all) != 3 {
		t.Fatalf("the first message has %d notifications", len(all))
	}
	var tried []string
	for keys, i := all, 0; i < 3; i++ {
		s.answers.judge(keys[0], noon, refused, s.now)
		s.back(keys, pause{length: misconfigurationBackoff, fixed: true, misconfigured: true})
		if early := s.send(); early != nil {
			t.Errorf("attempt %d is followed at once by one of %d", i, len(early))
		}
		s.now = s.now.Add(misconfigurationBackoff)
		if keys = s.send(); len(keys) != 1 || slices.Contains(tried, keys[0]) {
			t.Fatalf("after %q: %q is attempted", tried, keys)
		}
		tried = append(tried, keys[0])
	}
	s.answers.judge(tried[2], noon, delivery.Outcome{Verdict: delivery.Delivered}, s.now)
	s.back(tried[2:], pause{})
	if keys := s.send(); len(keys) != 3 {
		t.Errorf("after the first 2xx: %q", keys)
	}
}

// TestReload keeps what is known of a destination, and forgets it with another one.
func TestReload(t *testing.T) {
	for _, c := range []struct {
		destination string
		wait        time.Duration
		workers     int
	}{{"a", time.Hour, maxWorkers}, {"b", 0, unprovenWorkers}} {
		w := &loop{Listener: &Listener{}}
		before := w.newDispatcher(Receiver{Name: "chat", Destination: "a"})
		before.answers.judge("1", noon, delivery.Outcome{Verdict: delivery.Delivered}, noon)
		before.running = 1
		before.finish(result{key: "1", pause: pause{length: time.Hour, retryAfter: time.Hour}}, noon)
		after := w.newDispatcher(Receiver{Name: "chat", Destination: c.destination})
		after.continueFrom(before, noon)
		if workers, _ := after.answers.workers(noon); workers != c.workers || max(0, after.nextSend.Sub(noon)) != c.wait || before.current() != after {
			t.Errorf("%s: %d workers, the next message after %s", c.destination, workers, after.nextSend.Sub(noon))
		}
	}
}

// TestCounterpartsOfMany compares each notification of a large digest with few others.
func TestCounterpartsOfMany(t *testing.T) {
	for _, id := range []string{"h", "1"} {
		known := counterparts{}
		for i := range 1000 {
			hand, tail := recordOf(t, "h", 100), recordOf(t, "1", 100)
			hand.collection, tail.collection = fmt.Sprint("c", i), fmt.Sprint("c", i)
			known.add(hand)
			known.add(tail)
		}
		n := recordOf(t, id, 100)
		n.collection = "c7"
		others := known.of(n)
		if len(others) != 1 || others[0].origin == n.origin {
			t.Errorf("%s is compared with %d", id, len(others))
		}
		duplicate := with(n, of(others[0].id))
		known.add(duplicate)
		if others = known.of(n); len(others) != 2 {
			t.Errorf("%s is compared with %d, one of them a duplicate", id, len(others))
		}
	}
}

// TestDigestDuplicates sends a change that occurs twice, and that someone has also written by
// hand: of the three notifications one is a duplicate, in one digest or in several.
func TestDigestDuplicates(t *testing.T) {
	for _, c := range []struct {
		name     string
		together bool
	}{{"in one digest", true}, {"in several", false}} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, set.URI())
			chat := &collected{}
			s.listenTo(Receiver{Name: "chat", Target: chat, Digest: 300 * time.Millisecond})
			s.eventually("it is registered", func() bool { return s.count(bson.M{"_id": "init", "receivers.chat": bson.M{"$type": "date"}}) == 1 })
			at := time.Now()
			s.insert(hand("c", "hand", float64(at.UnixMilli())/1000))
			s.eventually("the first is processed", func() bool { return s.count(bson.M{"processed": true}) == 1 })
			first, second := tail(s.db.Name(), "c", 1, at), tail(s.db.Name(), "c", 2, at)
			if c.together {
				s.insert(first, second)
			} else {
				s.insert(first)
				s.eventually("the second is processed", func() bool { return s.count(bson.M{"processed": true}) == 2 })
				s.insert(second)
			}
			s.eventually("all are processed", func() bool { return s.count(bson.M{"processed": true}) == 3 })
			if got := chat.got(); !slices.Equal(got, []string{"hand", "tail"}) {
				t.Errorf("got %q", got)
			}
			if n := s.count(bson.M{"duplicate_of": bson.M{"$exists": true}}); n != 1 {
				t.Errorf("%d are duplicates", n)
			}
		})
	}
}

// calling is a target that calls a function for each message.
type calling func(all []Notification)

func (f calling) Deliver(_ context.Context, all []Notification) delivery.Outcome {
	f(all)
	return delivery.Outcome{Verdict: delivery.Delivered}
}

// TestDigestMarkedTogether fails the first attempt to mark the notifications of a message: the
// next one marks all of them with one transaction again.
func TestDigestMarkedTogether(t *testing.T) {
	s := newScene(t, set.URI())
	var commits atomic.Int64
	own := s.monitored("marked together", func(e *event.CommandSucceededEvent) {
		if e.CommandName == "commitTransaction" {
			commits.Add(1)
		}
	})
	admin := s.db.Client().Database("admin")
	var once sync.Once
	messages := 0
	target := calling(func([]Notification) {
		messages++
		once.Do(func() {
			s.must(admin.RunCommand(t.Context(), bson.D{
				{Key: "configureFailPoint", Value: "failCommand"}, {Key: "mode", Value: bson.M{"times": 1}},
				{Key: "data", Value: bson.M{"failCommands": bson.A{"update"}, "errorCode": 50, "appName": "marked together"}},
			}).Err())
		})
	})
	_, stop := own.listenTo(Receiver{Name: "chat", Target: target, Digest: 300 * time.Millisecond})
	s.eventually("it is registered", func() bool { return s.count(bson.M{"_id": "init", "receivers.chat": bson.M{"$type": "date"}}) == 1 })
	var docs []bson.M
	for i := range 20 {
		docs = append(docs, hand(fmt.Sprint("c", i), fmt.Sprint(i), now()))
	}
	s.insert(docs...)
	s.eventually("all are processed", func() bool { return s.count(bson.M{"processed": true}) == 20 })
	stop()
	if messages != 1 || commits.Load() != 1 {
		t.Errorf("%d messages, %d transactions were committed", messages, commits.Load())
	}
}
