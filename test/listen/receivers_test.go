package listen

import (
	"encoding/json"
	"fmt"
	"io"
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
	// answer returns the status for a message, without the lock; nil accepts all.
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

// checkTaken checks that a target received each of the wanted numbers, in order within each
// collection. Only the first receipt of a number counts.
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

// TestReceiversChange adds and removes receivers by SIGHUP. A new receiver gets
// notifications written from then on; a removed one blocks nothing.
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

// TestExpired checks that notifications expire if a receiver does not accept them in
// time.
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

// newListener listens on an address that was in use before.
func newListener(address string) (net.Listener, error) { return net.Listen("tcp", address) }
