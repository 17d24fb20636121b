package listen

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// change is one notification of TestOrder, by the test's own definition. Its number is its
// place in the order of all.
type change struct {
	source    string // empty: written by hand
	names     []string
	operation string
}

// touches reports whether a change belongs to a partition of another.
func (c change) touches(other change) bool {
	if c.source != other.source && c.source != "" && other.source != "" {
		return false
	}
	for _, a := range c.names {
		for _, b := range other.names {
			databaseA, collectionA, _ := strings.Cut(a, ".")
			databaseB, collectionB, _ := strings.Cut(b, ".")
			if databaseA == databaseB && (collectionA == collectionB || collectionA == "" || collectionB == "") {
				return true
			}
		}
	}
	return false
}

func randomChange(number int) change {
	name := func() string { return fmt.Sprintf("order_db%d.c%d", rand.IntN(10), rand.IntN(5)) }
	c := change{source: fmt.Sprint("rs", number%2), names: []string{name()}, operation: "MODIFY_COLLECTION"}
	if number%20 == 19 {
		// After all others of its second, and of another kind: no pair of any of them.
		return change{names: c.names, operation: "CREATE_VIEW"}
	}
	switch rand.IntN(20) {
	case 0:
		c.operation, c.names[0] = "DROP_DATABASE", c.names[0][:len("order_db0.")]
	case 1, 2, 3:
		c.operation, c.names = "RENAME_COLLECTION", append(c.names, name())
	}
	return c
}

func (c change) document(number int) bson.M {
	second := 1_700_000_000 + number/20
	database, collection, _ := strings.Cut(c.names[0], ".")
	doc := bson.M{
		"_id": number, "operation": c.operation, "database": database, "number": number,
		"timestamp": float64(second), "processed": false,
	}
	if c.source != "" {
		doc["_id"] = fmt.Sprintf("%s:%010d:%010d:000000", c.source, second, number%20+1)
		doc["source"] = "oplog"
	}
	if collection != "" {
		doc["collection"] = collection
	}
	if len(c.names) > 1 {
		doc["to"] = c.names[1]
	}
	return doc
}

// stubborn answers 500 at random, and always for some notifications until mend is called.
type stubborn struct {
	held map[float64]bool
	mu   sync.Mutex
	// mended is set when every request is answered with 2xx.
	mended bool
}

func (s *stubborn) answer(r request) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[r.Number] && !s.mended || rand.IntN(100) < 3 {
		return reply{status: 500}
	}
	return reply{}
}

func (s *stubborn) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mended = true
}

// TestOrder lets two listeners deliver notifications of two sources and by hand, one in five
// a rename or a dropped database, to a backend that answers 500 at random, and to some
// always. Every undelivered notification must fail or wait for a failing one. None may be
// delivered before an earlier one of the same partition.
func TestOrder(t *testing.T) {
	t.Parallel()
	notifications := 600
	if full() {
		notifications = 10_000
	}
	s := newScene(t, "order_db")
	backend := &stubborn{held: map[float64]bool{}}
	for range 3 {
		backend.held[float64(rand.IntN(notifications))] = true
	}
	s.backend.setAnswer(backend.answer)
	s.listen()
	observed := s.listen()

	began := time.Now()
	changes := s.writeChanges(notifications)
	s.settle(func() int64 { return s.count(bson.M{"processed": true}) })
	left := s.left()
	blocked, err := observed.Metric(t.Context(), "ddltail_partitions_blocked")
	if err != nil || blocked < 1 || len(left) < len(backend.held) {
		t.Errorf("%d are left, %v partitions are blocked, %v", len(left), blocked, err)
	}
	s.checkChains(changes, left)
	t.Logf("%d notifications: %s until only what waits was left, %d behind %d that fail, %v partitions blocked",
		notifications, time.Since(began).Round(time.Millisecond), len(left), len(backend.held), blocked)

	backend.mend()
	s.patiently(s.done)
	s.checkOrder(changes)
	s.eventually("no partition is blocked", func() bool {
		blocked, err := observed.Metric(t.Context(), "ddltail_partitions_blocked")
		return err == nil && blocked == 0
	})
	t.Logf("all delivered after %s", time.Since(began).Round(time.Millisecond))
}

// writeChanges inserts notifications in their order.
func (s scene) writeChanges(number int) []change {
	s.Helper()
	changes := make([]change, number)
	var batch []bson.M
	for i := range changes {
		changes[i] = randomChange(i)
		batch = append(batch, changes[i].document(i))
		if len(batch) == 20 || i == number-1 {
			_, err := s.queue.InsertMany(s.Context(), batch)
			s.must(err)
			batch = nil
		}
	}
	return changes
}

// settle waits until a count does not change for some seconds.
func (s scene) settle(count func() int64) {
	s.Helper()
	last, since := count(), time.Now()
	for time.Since(since) < 15*time.Second {
		time.Sleep(200 * time.Millisecond)
		if n := count(); n != last {
			last, since = n, time.Now()
		}
	}
}

// left returns the unprocessed numbers, and for each whether an attempt has failed.
func (s scene) left() map[int]bool {
	s.Helper()
	cursor, err := s.queue.Find(s.Context(), bson.M{"processed": false})
	s.must(err)
	var docs []struct {
		Number   int `bson:"number"`
		Attempts int `bson:"attempts"`
	}
	s.must(cursor.All(s.Context(), &docs))
	left := map[int]bool{}
	for _, d := range docs {
		left[d.Number] = d.Attempts > 0
	}
	return left
}

// checkChains checks that each unprocessed change fails, or waits for an earlier
// unprocessed one.
func (s scene) checkChains(changes []change, left map[int]bool) {
	s.Helper()
	for number, failing := range left {
		waits := failing
		for earlier := range left {
			waits = waits || earlier < number && changes[earlier].touches(changes[number])
		}
		if !waits {
			s.Errorf("%d waits for nothing: %+v", number, changes[number])
		}
	}
}

// checkOrder checks the order of every two changes with a common partition.
func (s scene) checkOrder(changes []change) {
	s.Helper()
	taken := make([]int, len(changes))
	for at, r := range s.backend.got() {
		if !r.reply.taken() {
			continue
		}
		if taken[int(r.Number)] != 0 {
			s.Errorf("%v was delivered twice", r.Number)
		}
		taken[int(r.Number)] = at + 1
	}
	wrong := 0
	for later := range changes {
		if taken[later] == 0 {
			s.Errorf("%d was not delivered", later)
		}
		for earlier := range later {
			if taken[earlier] > taken[later] && changes[earlier].touches(changes[later]) {
				wrong++
				if wrong < 10 {
					s.Errorf("%d was delivered before %d: %+v, %+v", later, earlier, changes[later], changes[earlier])
				}
			}
		}
	}
	s.Logf("%d requests, %d pairs out of order", len(s.backend.got()), wrong)
}
