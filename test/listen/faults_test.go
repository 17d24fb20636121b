package listen

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// collections is the number of collections, to which the notifications are assigned in
// turn.
const collections = 10

// faultLoad configures TestFaults.
type faultLoad struct {
	notifications int
	// spread is the time over which they are written.
	spread time.Duration
	// away is how long the backend is stopped.
	away time.Duration
	// kills is the number of killed listeners, stepDowns that of step-downs.
	kills, stepDowns int
	// hangs is the number of requests without a response within their timeout.
	hangs int
}

func newFaultLoad() faultLoad {
	if full() {
		return faultLoad{notifications: 1000, spread: 90 * time.Second, away: time.Minute, kills: 30, stepDowns: 6, hangs: 10}
	}
	return faultLoad{notifications: 200, spread: 10 * time.Second, away: 3 * time.Second, kills: 4, stepDowns: 1, hangs: 2}
}

// TestFaults runs three listeners with a backend that fails in every way, while listeners
// are killed and primaries step down. No notification may be lost or be out of order
// within its collection.
func TestFaults(t *testing.T) {
	t.Parallel()
	own := mongotest.NewReplicaSet(t, mongotest.Options{Members: 3, ElectionTimeout: 2 * time.Second})
	s := sceneAt(t, mongotest.Connect(t, own.URI()), own.URIOf("", "", "storm_db"), "storm_db")
	w := newFaultLoad()
	bad := &badBackend{hangs: w.hangs}
	s.backend.setAnswer(bad.answer)

	var listeners [3]*ddltailtest.Process
	for i := range listeners {
		listeners[i] = s.listen()
	}
	var under sync.WaitGroup
	under.Go(func() { s.write(w) })
	under.Go(func() {
		time.Sleep(w.spread / 3)
		s.backend.stop()
		time.Sleep(w.away)
		s.backend.again()
	})
	pause := (w.spread + w.away) / time.Duration(w.kills+w.stepDowns)
	for i := range w.kills + w.stepDowns {
		time.Sleep(pause)
		if i%(w.kills/w.stepDowns+1) == 1 {
			_, err := own.StepDown(t.Context())
			s.must(err)
			continue
		}
		s.must(listeners[i%3].Kill())
		listeners[i%3] = s.listen()
	}
	under.Wait()
	s.patiently(func() bool { return s.count(bson.M{"processed": true}) == int64(w.notifications) })
	s.account(w)
}

// patiently is eventually with a longer limit, for claims of killed listeners and
// backoffs.
func (s scene) patiently(ok func() bool) {
	s.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("not all are processed within 3 minutes: %d", s.count(bson.M{"processed": true}))
		}
	}
}

// write inserts the notifications, and retries each until it is stored: a primary may
// step down.
func (s scene) write(w faultLoad) {
	for i := range w.notifications {
		doc := bson.M{
			"_id": i, "operation": "MODIFY_COLLECTION", "collection": fmt.Sprint("c", i%collections), "number": i / collections,
			"operation_statement": "x", "timestamp": seconds(time.Now()), "processed": false,
		}
		for {
			_, err := s.queue.InsertOne(s.Context(), doc)
			if err == nil || mongo.IsDuplicateKeyError(err) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(w.spread / time.Duration(w.notifications))
	}
}

// badBackend answers half of the requests with 2xx. A sender gives up a hanging request
// after 15 s.
type badBackend struct {
	hangs int
}

func (b *badBackend) answer(r request) reply {
	switch n := rand.IntN(100); {
	case n < 10:
		return reply{status: 500}
	case n < 20:
		return reply{close: true}
	case n < 25:
		return reply{status: 503}
	case n < 30:
		return reply{status: 429, retryAfter: "1"}
	case n < 33:
		return reply{status: 410}
	case n < 36:
		return reply{status: 200, hang: 100 * time.Millisecond}
	case n < 40 && b.hangs > 0:
		b.hangs--
		return reply{hang: 20 * time.Second}
	}
	return reply{}
}

// final reports whether the sender must not retry.
func (r reply) final() bool { return r.taken() || r.status == 410 }

// account checks the requests that the backend received.
func (s scene) account(w faultLoad) {
	s.Helper()
	got := s.backend.got()
	next := map[string]float64{}
	finals := map[string]int{}
	kinds := map[string]int{}
	ids := map[string][]string{}
	for _, r := range got {
		key := fmt.Sprint(r.Collection, " ", r.Number)
		kinds[fmt.Sprintf("%+v", r.reply)]++
		ids[key] = append(ids[key], r.header.Get("webhook-id"))
		if r.Number > next[r.Collection] {
			s.Errorf("%s came before %v had been taken", key, next[r.Collection])
		}
		if r.reply.final() || r.reply.hang > 0 && r.reply.hang < time.Second {
			finals[key]++
			next[r.Collection] = max(next[r.Collection], r.Number+1)
		}
	}
	duplicates := 0
	for key, n := range finals {
		duplicates += n - 1
		if len(slices.Compact(slices.Sorted(slices.Values(ids[key])))) != 1 {
			s.Errorf("%s has had several webhook-ids: %q", key, ids[key])
		}
	}
	if len(finals) != w.notifications {
		s.Errorf("the backend has %d of %d", len(finals), w.notifications)
	}
	gone := s.count(bson.M{"error": bson.M{"$exists": true}})
	s.Logf("%d notifications, %d requests: %v", w.notifications, len(got), kinds)
	s.Logf("%d duplicates; %d refused for good", duplicates, gone)
}

// TestMisconfigured uses a backend that at first answers every request like a wrong URL.
// No notification may be marked until then, and all must be delivered when it answers
// 2xx.
func TestMisconfigured(t *testing.T) {
	for _, status := range []int{404, 400, 422} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			testMisconfigured(t, status)
		})
	}
}

func testMisconfigured(t *testing.T, status int) {
	s := newScene(t, fmt.Sprint("misconfigured_db_", status))
	s.backend.setAnswer(func(request) reply { return reply{status: status} })
	p := s.listen()
	const notifications = 20
	for i := range notifications {
		_, err := s.queue.InsertOne(t.Context(), bson.M{
			"operation": "MODIFY_COLLECTION", "collection": fmt.Sprint("c", i%4), "number": i, "timestamp": seconds(time.Now()), "processed": false,
		})
		s.must(err)
	}
	s.eventually("it is not ready", func() bool {
		code, body, err := p.Get(t.Context(), "/readyz")
		return err == nil && code == 503 && strings.Contains(body, fmt.Sprint("the backend answered ", status))
	})
	s.expectMetric(p, `ddltail_delivery_misconfigured{receiver="backend"}`, 1)
	s.expectMetric(p, "ddltail_ready", 0)
	began := time.Now()
	if full() {
		time.Sleep(time.Minute)
	}
	if n := s.count(bson.M{"processed": false, "attempts": nil, "last_error": nil, "error": nil}); n != notifications {
		t.Errorf("%d of %d are unmarked", n, notifications)
	}
	requests := len(s.backend.got())
	if most := 4 + int(time.Since(began)/time.Minute); requests > most {
		t.Errorf("%d requests in %s, want at most %d", requests, time.Since(began), most)
	}
	s.backend.setAnswer(nil)
	if !full() {
		// A new listener does not wait for the rest of the minute.
		code, err := p.Stop(t.Context())
		if err != nil || code != 0 {
			t.Errorf("exit %d, %v", code, err)
		}
		p = s.listen()
	}
	s.patiently(s.done)
	t.Logf("%d requests; all taken %s after the first answer", requests, time.Since(began).Round(time.Millisecond))
	taken := 0
	for _, r := range s.backend.got() {
		if r.reply.taken() {
			taken++
		}
	}
	if taken != notifications || s.count(bson.M{"error": bson.M{"$exists": true}}) != 0 {
		t.Errorf("%d were taken, want %d", taken, notifications)
	}
	s.must(p.WaitReady(t.Context()))
	s.expectMetric(p, `ddltail_delivery_misconfigured{receiver="backend"}`, 0)
	s.expectMetric(p, "ddltail_ready", 1)
}

func (s scene) expectMetric(p *ddltailtest.Process, series string, want float64) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s is %v", series, want), func() bool {
		got, err := p.Metric(s.Context(), series)
		return err == nil && got == want
	})
}

// TestOneRefused uses a backend that answers 400 to some notifications: these are marked,
// and can be redelivered.
func TestOneRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, "refused_db")
	s.backend.setAnswer(func(r request) reply {
		if r.Statement == "bad" {
			return reply{status: 400}
		}
		return reply{}
	})
	p := s.listen()
	s.insert("good", "bad", "good", "bad")
	s.eventually("all are done", s.done)
	if n := s.count(bson.M{"error": "the backend answered 400 Bad Request"}); n != 2 {
		t.Errorf("%d are marked, want 2", n)
	}
	s.must(p.WaitReady(t.Context()))
	s.backend.setAnswer(nil)
	s.backend.forget()
	would, _ := s.ddltail(0, "redeliver", "--rejected", "--dry-run")
	if would != "2 notifications would be delivered again\n" || !s.done() {
		t.Errorf("got %q", would)
	}
	if text, _ := s.ddltail(0, "redeliver", "--rejected"); text != "2 notifications will be delivered again\n" {
		t.Errorf("got %q", text)
	}
	s.eventually("both are delivered", func() bool { return len(s.backend.got()) == 2 && s.done() })
	if n := s.count(bson.M{"error": nil, "attempts": 1, "processed": true, "redelivered_at": bson.M{"$type": "date"}}); n != 2 {
		t.Errorf("%d are left as delivered, want 2", n)
	}
}

// TestRedeliverRemoved redelivers notifications that cleanup has removed.
func TestRedeliverRemoved(t *testing.T) {
	t.Parallel()
	s := newScene(t, "again_db")
	s.tail()
	s.listen()
	for _, name := range []string{"a", "b"} {
		s.must(s.db.CreateCollection(t.Context(), name))
	}
	s.eventually("both are delivered", func() bool { return len(s.backend.got()) == 2 && s.done() })
	first := map[string]string{}
	for _, r := range s.backend.got() {
		first[r.header.Get("webhook-id")] = string(r.raw)
	}
	s.eventually("both are removed", func() bool {
		return s.removed(s.ddltail(0, "cleanup", "--older-than", "0s")) > 0 && s.count(bson.M{"operation": bson.M{"$exists": true}}) == 0 ||
			s.count(bson.M{"operation": bson.M{"$exists": true}}) == 0
	})
	s.backend.forget()
	if text, _ := s.ddltail(0, "redeliver", "--since", "1h", "--receiver", "backend"); text != "2 notifications will be delivered again, 2 of them from the history\n" {
		t.Errorf("got %q", text)
	}
	s.eventually("both are delivered again", func() bool { return len(s.backend.got()) == 2 && s.done() })
	for _, r := range s.backend.got() {
		if was := first[r.header.Get("webhook-id")]; was != string(r.raw) {
			t.Errorf("got %s, was %q", r.raw, was)
		}
	}
	var doc struct {
		ID string `bson:"_id"`
	}
	s.must(s.queue.FindOne(t.Context(), bson.M{"collection": "a"}).Decode(&doc))
	if text, _ := s.ddltail(0, "redeliver", "--id", doc.ID); text != "1 notifications will be delivered again\n" {
		t.Errorf("got %q", text)
	}
	s.eventually("it is delivered a third time", func() bool { return len(s.backend.got()) == 3 && s.done() })
	s.ddltail(1, "redeliver", "--id", "no such id")
	s.ddltail(2, "redeliver", "--since", "1h", "--receiver", "unheard-of")
	s.ddltail(2, "redeliver")
	s.ddltail(2, "redeliver", "--since", "soon")
}
