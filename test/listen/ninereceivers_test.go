package listen

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// nine is a receiver of TestNineReceivers.
type nine struct {
	*target
	name, options string
	want          func(int) bool
}

// TestNineReceivers uses nine receivers, three of them stopped, hanging or answering 500,
// while two listeners are killed in turn. The other six must receive everything that their
// filters select, in order and without delay, and the three when they recover.
func TestNineReceivers(t *testing.T) {
	t.Parallel()
	notifications, kills := 200, 4
	if full() {
		notifications, kills = 1000, 20
	}
	s := newScene(t, "nine_db")
	everything := func(int) bool { return true }
	drops := func(i int) bool { return i%3 == 0 }
	var all []nine
	var entries []string
	for _, c := range []nine{
		{name: "one"}, {name: "two"}, {name: "drops", options: "filter: {operations: [DROP_COLLECTION]}", want: drops},
		{name: "not-c1", options: "filter: {namespaces: ['!*.c1']}", want: func(i int) bool { return i%10 != 1 }},
		{name: "digest", options: "digest: 1s"}, {name: "chat", options: "digest: 2s, rate: 5/s", want: nil},
		{name: "down"}, {name: "hanging"}, {name: "failing"},
	} {
		c.target = newTarget(t)
		if c.want == nil {
			c.want = everything
		}
		entry := fmt.Sprintf("name: %s, url: %s", c.name, c.URL)
		if c.options != "" {
			entry += ", " + c.options
		}
		entries = append(entries, entry)
		all = append(all, c)

	}
	bad := all[6:]
	address := bad[0].Listener.Addr().String()
	bad[0].CloseClientConnections()
	bad[0].Close()
	well := make(chan struct{})
	bad[1].setAnswer(func(message) int {
		select {
		case <-well:
		case <-time.After(30 * time.Second):
			return 503
		}
		return 200
	})
	bad[2].setAnswer(func(message) int { return 500 })

	path := s.receiversFile(entries...)
	alone := newTarget(t)
	medianAlone := s.latencyOf(alone, notifications/4, 1, "name: alone, url: "+alone.URL)
	medianWell := s.latencyOf(all[0].target, notifications/4, 2, entries[:6]...)
	for _, c := range all {
		c.forget()
	}
	var listeners [2]*ddltailtest.Process
	for i := range listeners {
		listeners[i] = s.listenTo(path)
	}
	began := time.Now()
	written := make([]time.Time, notifications)
	write := func(from, to int) {
		for i := from; i < to; i++ {
			written[i] = time.Now()
			s.numbered(i, i+1)
			time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
		}
	}
	write(0, notifications/2)
	s.eventually("the first has got what is written", func() bool { return len(all[0].taken()) >= notifications/2 })
	median := medianLatency(all[0].target, written)
	t.Logf("median of a receiver that is well: %s; without those that are not %s, alone %s", median, medianWell, medianAlone)
	// A receiver that waited for one of the failing ones would wait for a retry, 500 ms at least.
	if most := 2*max(medianAlone, medianWell) + 50*time.Millisecond; median > most {
		t.Errorf("the median is %s, want at most %s", median, most)
	}
	// A listener that is killed keeps its claims for 20 s.
	var writer sync.WaitGroup
	writer.Go(func() { write(notifications/2, notifications) })
	for i := range kills {
		time.Sleep(time.Duration(notifications) * 10 * time.Millisecond / time.Duration(kills))
		s.must(listeners[i%2].Kill())
		listeners[i%2] = s.listenTo(path)
	}
	writer.Wait()
	for _, c := range all[:6] {
		wanted := 0
		for i := range notifications {
			if c.want(i) {
				wanted++
			}
		}
		s.eventually(c.name+" has got all", func() bool {
			seen := map[int]bool{}
			for _, n := range c.taken() {
				seen[n] = true
			}
			return len(seen) >= wanted
		})
		t.Logf("%s: %d sent again, all after %s", c.name, s.checkTaken(c.name, c.target, c.want, notifications), time.Since(began).Round(time.Millisecond))
	}
	if n := s.count(bson.M{"processed": true}); n != 0 {
		t.Errorf("%d are marked as processed, although three receivers have not got them", n)
	}

	again, err := newListener(address)
	s.must(err)
	bad[0].Server = &httptest.Server{Listener: again, Config: &http.Server{Handler: bad[0].target}}
	bad[0].Start()
	close(well)
	bad[2].setAnswer(nil)
	s.patiently(func() bool { return s.count(bson.M{"processed": true}) == int64(notifications) })
	for _, c := range bad {
		t.Logf("%s: %d sent again", c.name, s.checkTaken(c.name, c.target, c.want, notifications))
	}
	if n := s.count(bson.M{"error": bson.M{"$exists": true}}); n != 0 {
		t.Errorf("%d have an error", n)
	}
	t.Logf("all processed after %s", time.Since(began).Round(time.Millisecond))
}

// latencyOf measures the latency of a target without the failing receivers.
func (s scene) latencyOf(g *target, notifications, listeners int, entries ...string) time.Duration {
	s.Helper()
	path := s.receiversFile(entries...)
	var all []*ddltailtest.Process
	for range listeners {
		all = append(all, s.listenTo(path))
	}
	written := make([]time.Time, notifications)
	for i := range written {
		written[i] = time.Now()
		s.numbered(i, i+1)
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
	}
	s.eventually("all are delivered", s.done)
	for _, p := range all {
		if code, err := p.Stop(s.Context()); err != nil || code != 0 {
			s.Errorf("exit %d, %v", code, err)
		}
	}
	_, err := s.queue.DeleteMany(s.Context(), bson.M{"number": bson.M{"$exists": true}})
	s.must(err)
	return medianLatency(g, written)
}

// medianLatency returns the median time from the insert to the first request.
func medianLatency(g *target, written []time.Time) time.Duration {
	first := map[int]time.Duration{}
	for _, m := range g.got() {
		for _, n := range m.notifications {
			if _, ok := first[int(n.Number)]; !ok {
				first[int(n.Number)] = m.at.Sub(written[int(n.Number)])
			}
		}
	}
	var all []time.Duration
	for _, d := range first {
		all = append(all, d)
	}
	slices.Sort(all)
	return all[len(all)/2].Round(time.Millisecond)
}
