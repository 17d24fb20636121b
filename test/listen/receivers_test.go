package listen

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// target is the server of one receiver with the template json: it gets a notification, or
// an array of them.
type target struct {
	*httptest.Server
	t *testing.T
	// active counts the requests that are not answered yet.
	active atomic.Int64

	mu       sync.Mutex
	messages []message
	// answer decides about a message, outside the lock; nil takes all.
	answer func(message) int
}

// message is one request that a target got, and how it answered.
type message struct {
	at            time.Time
	id            string
	notifications []notification
	status        int
}

func newTarget(t *testing.T) *target {
	t.Helper()
	g := &target{t: t}
	g.Server = httptest.NewServer(g)
	t.Cleanup(func() {
		g.CloseClientConnections()
		g.Close()
	})
	return g
}

func (g *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.active.Add(1)
	defer g.active.Add(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	m := message{at: time.Now(), id: r.Header.Get("webhook-id"), status: http.StatusOK}
	if body[0] == '[' {
		err = json.Unmarshal(body, &m.notifications)
	} else {
		m.notifications = make([]notification, 1)
		err = json.Unmarshal(body, &m.notifications[0])
	}
	if err != nil {
		g.t.Errorf("the body is no JSON: %v\n%s", err, body)
	}
	g.mu.Lock()
	answer := g.answer
	g.mu.Unlock()
	if answer != nil {
		m.status = answer(m)
	}
	g.mu.Lock()
	g.messages = append(g.messages, m)
	g.mu.Unlock()
	w.WriteHeader(m.status)
}

func (g *target) setAnswer(answer func(message) int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = answer
}

func (g *target) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.messages = nil
}

func (g *target) got() []message {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.messages)
}

// taken returns the numbers of the notifications that the target accepted, in their order.
func (g *target) taken() []int {
	var all []int
	for _, m := range g.got() {
		if m.status/100 == 2 {
			for _, n := range m.notifications {
				all = append(all, int(n.Number))
			}
		}
	}
	return all
}

// receiversFile writes a RECEIVERS_FILE, one line of YAML flow for each receiver.
func (s scene) receiversFile(entries ...string) string {
	s.Helper()
	path := filepath.Join(s.TempDir(), "receivers.yml")
	s.writeReceivers(path, entries...)
	return path
}

func (s scene) writeReceivers(path string, entries ...string) {
	s.Helper()
	text := "receivers:\n"
	for _, e := range entries {
		text += "  - {" + e + "}\n"
	}
	s.must(os.WriteFile(path, []byte(text), 0o600))
}

// listenTo starts `ddltail listen` for the receivers of a file, without a backend.
func (s scene) listenTo(path string, variables ...string) *ddltailtest.Process {
	s.Helper()
	p := s.launch([]string{"listen"}, append([]string{"DDLTAIL_RECEIVERS_FILE=" + path}, variables...)...)
	s.must(p.WaitReady(s.Context()))
	return p
}

// numbered inserts notifications of some collections.
func (s scene) numbered(from, to int) {
	s.Helper()
	for i := from; i < to; i++ {
		operation := "MODIFY_COLLECTION"
		if i%3 == 0 {
			operation = "DROP_COLLECTION"
		}
		_, err := s.queue.InsertOne(s.Context(), bson.M{
			"_id": i, "operation": operation, "database": s.db.Name(), "collection": fmt.Sprint("c", i%10), "number": i,
			"timestamp": seconds(time.Now()), "processed": false,
		})
		s.must(err)
	}
}

// checkTaken checks that a target has got each of the wanted numbers, and each collection in
// order: the first time it gets one counts.
func (s scene) checkTaken(name string, g *target, want func(int) bool, total int) (again int) {
	s.Helper()
	seen := map[int]bool{}
	last := map[int]int{}
	for _, n := range g.taken() {
		if !want(n) {
			s.Errorf("%s got %d, which its filter excludes", name, n)
		}
		if seen[n] {
			again++
			continue
		}
		seen[n] = true
		if n < last[n%10] {
			s.Errorf("%s got %d after %d", name, n, last[n%10])
		}
		last[n%10] = n
	}
	for i := range total {
		if want(i) && !seen[i] {
			s.Errorf("%s has not got %d", name, i)
		}
	}
	return again
}

// nine is one of the receivers of TestNineReceivers.
type nine struct {
	*target
	name, options string
	want          func(int) bool
}

// TestNineReceivers has nine receivers, three of them down, hanging or answering 500, while
// two listeners are killed in turns. The six that are well get everything that their filters
// select, in order and without delay; the three get theirs when they are back.
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
	t.Logf("median of a receiver that is well: %s; without those that are not %s, alone %s", medianLatency(all[0].target, written), medianWell, medianAlone)
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

// latencyOf measures a target without the receivers that are not well.
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

// TestReceiversChange adds and removes receivers by SIGHUP. One that is new gets what is
// written from then on; one that is removed holds nothing back.
func TestReceiversChange(t *testing.T) {
	t.Parallel()
	s := newScene(t, "change_db")
	first, second := newTarget(t), newTarget(t)
	first.setAnswer(func(message) int { return 503 })
	path := s.receiversFile("name: first, url: " + first.URL)
	p := s.listenTo(path, "DDLTAIL_BACKEND_URL="+s.backend.URL)
	s.numbered(0, 5)
	s.eventually("the backend has got all", func() bool { return len(s.backend.got()) == 5 })
	s.eventually("the first has been tried", func() bool { return len(first.got()) > 0 })
	s.eventually("all are pending for the first alone", func() bool {
		return s.count(bson.M{"processed": false, "deliveries.backend.state": "delivered"}) == 5
	})
	s.writeReceivers(path, "name: first, url: "+first.URL, "name: second, url: "+second.URL)
	s.hangup(p, func() bool { return s.count(bson.M{"_id": "init", "receivers.second": bson.M{"$type": "date"}}) == 1 })
	s.numbered(5, 10)
	s.eventually("the second has got what is new", func() bool { return len(second.taken()) == 5 })
	if slices.Min(second.taken()) != 5 {
		t.Errorf("the second has got %v", second.taken())
	}
	s.writeReceivers(path, "name: first")
	s.hangup(p, func() bool { return strings.Contains(p.Stderr(), "the receivers cannot be read") })
	s.writeReceivers(path, "name: second, url: "+second.URL)
	s.hangup(p, func() bool { return s.count(bson.M{"_id": "init", "receivers.first": nil}) == 1 })
	s.eventually("nothing waits for the first", s.done)
	if n := s.count(bson.M{"error": bson.M{"$exists": true}}); n != 0 {
		t.Errorf("%d have an error", n)
	}
	if len(s.backend.got()) != 10 || len(second.taken()) != 5 {
		t.Errorf("the backend has got %d, the second %v", len(s.backend.got()), second.taken())
	}
}

// hangup sends SIGHUP and waits for its effect.
func (s scene) hangup(p *ddltailtest.Process, effect func() bool) {
	s.Helper()
	s.must(p.Hangup())
	s.eventually("SIGHUP has an effect", effect)
}

// TestExpired gives up what a receiver does not accept in time.
func TestExpired(t *testing.T) {
	t.Parallel()
	s := newScene(t, "expired_db")
	g := newTarget(t)
	g.setAnswer(func(message) int { return 500 })
	p := s.listenTo(s.receiversFile("name: chat, give_up_after: 3s, url: "+g.URL), "DDLTAIL_BACKEND_URL="+s.backend.URL)
	s.numbered(0, 20)
	s.eventually("all have ended", s.done)
	if n := s.count(bson.M{"deliveries.chat.state": "expired", "deliveries.backend.state": "delivered", "error": bson.M{"$regex": "^chat: expired: .*500"}}); n != 20 {
		t.Errorf("%d have expired", n)
	}
	s.expectMetric(p, `ddltail_receiver_deliveries_total{receiver="chat",result="expired"}`, 20)
	s.expectMetric(p, `ddltail_receiver_deliveries_total{receiver="backend",result="delivered"}`, 20)
	g.setAnswer(nil)
	if text, _ := s.ddltail(0, "redeliver", "--rejected", "--receiver", "chat"); !strings.HasPrefix(text, "20 notifications") {
		t.Errorf("got %q", text)
	}
	s.eventually("all are delivered", func() bool { return len(g.taken()) == 20 && s.done() })
	if len(s.backend.got()) != 20 {
		t.Errorf("the backend has got %d", len(s.backend.got()))
	}
}

// newListener listens on an address that was in use.
func newListener(address string) (net.Listener, error) { return net.Listen("tcp", address) }
