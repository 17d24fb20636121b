package listener

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/test/mongotest"
)

var set *mongotest.ReplicaSet

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(mongotest.Main{Tests: m, Set: &set, Options: mongotest.Options{Args: []string{"--setParameter", "enableTestCommands=1"}}})
}

// received is a target that notes what it gets, and answers as configured.
type received struct {
	mu     sync.Mutex
	bodies []posted
	// answer returns the outcome of each; nil accepts all.
	answer func(posted) delivery.Outcome
	// slow is the maximum delay of one.
	slow time.Duration
}

// posted is what a receiver reads, by its own definition.
type posted struct {
	Operation  string `json:"operation"`
	Collection string `json:"collection"`
	Statement  string `json:"operation_statement"`
	Source     string `json:"source"`
	Attempts   *int   `json:"attempts"`
}

func (r *received) Deliver(_ context.Context, all []Notification) delivery.Outcome {
	body, err := all[0].JSON()
	if err != nil {
		return delivery.Outcome{Verdict: delivery.Rejected, Reason: err.Error()}
	}
	var n posted
	if err := json.Unmarshal(body, &n); err != nil {
		return delivery.Outcome{Verdict: delivery.Rejected, Reason: err.Error()}
	}
	time.Sleep(time.Duration(rand.Int64N(int64(r.slow) + 1)))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies = append(r.bodies, n)
	if r.answer == nil {
		return delivery.Outcome{Verdict: delivery.Delivered}
	}
	return r.answer(n)
}

// statements are those received so far, of one collection or of all.
func (r *received) statements(collection string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, n := range r.bodies {
		if collection == "" || n.Collection == collection {
			all = append(all, n.Statement)
		}
	}
	return all
}

// scene is one test's queue.
type scene struct {
	*testing.T
	db    *mongo.Database
	queue *mongo.Collection
}

func newScene(t *testing.T, uri string) scene {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a server: not under -short")
	}
	t.Parallel()
	parsed, err := config.ParseURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	client, err := store.Connect(parsed.Options())
	if err != nil {
		t.Fatal(err)
	}
	s := scene{T: t}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if s.db != nil {
			_ = s.db.Drop(ctx)
		}
		_ = client.Disconnect(ctx)
	})
	name := strings.ToLower(strings.NewReplacer("/", "_", " ", "_", ".", "_").Replace(t.Name()))
	s.db, err = store.Database(t.Context(), client, name[:min(len(name), 40)])
	s.must(err)
	s.queue = s.db.Collection(store.Notifications)
	s.must(Setup(t.Context(), s.db, ownindex.Create))
	return s
}

// monitored returns the scene with a client of its own, whose commands are observed.
func (s scene) monitored(app string, observe func(*event.CommandSucceededEvent)) scene {
	s.Helper()
	uri, err := config.ParseURI(set.URI())
	s.must(err)
	client, err := store.Connect(uri.Options().SetAppName(app).SetMonitor(&event.CommandMonitor{
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) { observe(e) },
	}))
	s.must(err)
	s.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	s.db, err = store.Database(s.Context(), client, s.db.Name())
	s.must(err)
	return s
}

func (s scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// listen runs a listener until stop is called, or the test ends.
func (s scene) listen(target Target) (l *Listener, stop func()) {
	s.Helper()
	return s.listenTo(Receiver{Name: BackendReceiver, Target: target, Remedy: "check DDLTAIL_BACKEND_URL"})
}

// listenTo runs a listener for some receivers.
func (s scene) listenTo(receivers ...Receiver) (l *Listener, stop func()) {
	s.Helper()
	labels := metrics.ListenLabels{Results: Results(), Modes: Modes(), ReceiverResults: ReceiverResults()}
	log := zaptest.NewLogger(s, zaptest.Level(zap.InfoLevel))
	l = &Listener{
		Credentials: accepted{}, Explain: func(err error) error { return err },
		Database: s.db.Name(), Receivers: receivers,
		PollInterval: 100 * time.Millisecond, Indexes: ownindex.NewBuilder(log), Status: &Status{}, Log: log,
	}
	l.Metrics = metrics.NewListen(prometheus.NewRegistry(), metrics.Build{}, labels, l.Status.Ready)
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.Context()))
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		if err := l.Run(ctx, s.db); err != nil {
			s.Error(err)
		}
	}()
	stop = func() {
		cancel()
		<-finished
	}
	s.Cleanup(stop)
	return l, stop
}

func (s scene) insert(docs ...bson.M) {
	s.Helper()
	_, err := s.queue.InsertMany(s.Context(), docs)
	s.must(err)
}

// hand is a notification by hand; the statement identifies it.
func hand(collection, statement string, timestamp any) bson.M {
	return bson.M{
		"operation": "MODIFY_COLLECTION", "collection": collection, "operation_statement": statement,
		"timestamp": timestamp, "processed": false,
	}
}

func (s scene) eventually(what string, ok func() bool) {
	s.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("not within 30 s: %s", what)
		}
	}
}

// count returns the number of matching documents.
func (s scene) count(filter bson.M) int64 {
	s.Helper()
	n, err := s.queue.CountDocuments(s.Context(), filter)
	s.must(err)
	return n
}

func (s scene) find(statement string) bson.M {
	s.Helper()
	var doc bson.M
	s.must(s.queue.FindOne(s.Context(), bson.M{"operation_statement": statement}).Decode(&doc))
	return doc
}

func now() float64 { return float64(time.Now().UnixMilli()) / 1000 }

// TestEveryShape delivers documents as different people have written them, and
// leaves alone what is no notification.
func TestEveryShape(t *testing.T) {
	s := newScene(t, set.URI())
	s.insert(
		hand("c", "7", now()), hand("c", "5", bson.NewDateTimeFromTime(time.Now().Add(-time.Hour))),
		hand("c", "4", int32(time.Now().Unix()-7200)), hand("c", "3", time.Now().Unix()-9000),
		bson.M{"operation": "MODIFY_COLLECTION", "collection": "c", "operation_statement": "6", "timestamp": now() - 60},
		bson.M{"operation": "MODIFY_COLLECTION", "collection": "c", "operation_statement": "1", "processed": nil, "timestamp": 1},
		bson.M{"operation": "MODIFY_COLLECTION", "collection": "c", "operation_statement": "2", "_id": "of our own", "timestamp": 2.5, "claim": "x"},
		bson.M{"operation": 5, "processed": false}, bson.M{"operation": "CREATE_COLLECTION"},
		bson.M{"processed": false, "note": "no notification"}, bson.M{"_id": 7},
		bson.M{"operation": "DROP_COLLECTION", "collection": "done", "processed": true},
	)
	target := &received{}
	l, _ := s.listen(target)
	s.eventually("all done", func() bool {
		return s.count(bson.M{"operation": bson.M{"$exists": true}, "processed": bson.M{"$ne": true}}) == 0
	})
	if got, want := target.statements(""), []string{"1", "2", "3", "4", "5", "6", "7"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := s.count(bson.M{"processed": true, "error": bson.M{"$type": "string"}, "claim": bson.M{"$exists": false}}); n != 2 {
		t.Errorf("%d are marked malformed, want 2", n)
	}
	if n := s.count(bson.M{"processed_at": bson.M{"$type": "date"}}); n != 9 {
		t.Errorf("%d have processed_at, want 9", n)
	}
	if s.find("2")["claim"] != nil || s.find("2")["attempts"] != int32(1) {
		t.Errorf("left as %v", s.find("2"))
	}
	s.eventually("the backlog is reported", func() bool {
		n, ok := l.Status.Unprocessed()
		return ok && n == 0
	})
	if l.Status.Mode() != Streaming || l.Status.Ready() != nil || l.Status.Alive() != nil {
		t.Errorf("mode %s, %v, %v", l.Status.Mode(), l.Status.Ready(), l.Status.Alive())
	}
}

// TestOneHeldUp checks that a failing notification blocks its own collection, in order, and no
// other.
func TestOneHeldUp(t *testing.T) {
	s := newScene(t, set.URI())
	var free atomic.Bool
	var refusals atomic.Int32
	target := &received{}
	target.answer = func(n posted) delivery.Outcome {
		if n.Statement == "held 0" && (!free.Load() || refusals.Load() == 0) {
			refusals.Add(1)
			return delivery.Outcome{Verdict: delivery.Retry, Reason: "not yet"}
		}
		return delivery.Outcome{Verdict: delivery.Delivered}
	}
	s.listen(target)
	var want []string
	for i := range 20 {
		s.insert(hand("held", fmt.Sprint("held ", i), now()), hand("free", fmt.Sprint("free ", i), now()))
		want = append(want, fmt.Sprint("held ", i))
	}
	s.eventually("the free collection is done", func() bool { return len(target.statements("free")) == 20 })
	if got := target.statements("held"); slices.ContainsFunc(got, func(s string) bool { return s != "held 0" }) {
		t.Errorf("the held collection is at %q", got)
	}
	s.eventually("the refusal is noted", func() bool { return s.find("held 0")["attempts"] != nil })
	if doc := s.find("held 0"); doc["last_error"] != "not yet" || doc["processed"] != false {
		t.Errorf("meanwhile %v", doc)
	}
	free.Store(true)
	s.eventually("the held collection is done", func() bool { return s.count(bson.M{"processed": false}) == 0 })
	if got := slices.Compact(target.statements("held")); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if doc := s.find("held 0"); doc["attempts"] != refusals.Load()+1 || doc["last_error"] != "not yet" || doc["claim"] != nil {
		t.Errorf("at the end %v", doc)
	}
}

// TestRejected checks that a rejected notification is not sent again.
func TestRejected(t *testing.T) {
	s := newScene(t, set.URI())
	target := &received{answer: func(n posted) delivery.Outcome {
		if n.Statement == "bad" {
			return delivery.Outcome{Verdict: delivery.Rejected, Reason: "the backend answered 422"}
		}
		return delivery.Outcome{Verdict: delivery.Delivered}
	}}
	s.insert(hand("c", "bad", 1), hand("c", "good", 2))
	s.listen(target)
	s.eventually("both are done", func() bool { return s.count(bson.M{"processed": true}) == 2 })
	if got := target.statements(""); !slices.Equal(got, []string{"bad", "good"}) {
		t.Errorf("got %q", got)
	}
	if doc := s.find("bad"); doc["error"] != "the backend answered 422" || doc["attempts"] != int32(1) {
		t.Errorf("left as %v", doc)
	}
}

// TestMisconfiguration checks that a configuration mistake marks nothing, shows in readiness,
// and that a listener that starts when it is mended goes on at once.
func TestMisconfiguration(t *testing.T) {
	s := newScene(t, set.URI())
	s.insert(hand("c", "1", 1), hand("c", "2", 2), hand("d", "3", 3))
	before := s.find("1")
	target := &received{answer: func(posted) delivery.Outcome {
		return delivery.Outcome{Verdict: delivery.Misconfigured, Reason: "the backend answered 404 Not Found"}
	}}
	l, stop := s.listen(target)
	s.eventually("it is not ready", func() bool {
		err := l.Status.Ready()
		return err != nil && strings.Contains(err.Error(), "404") && strings.Contains(err.Error(), "DDLTAIL_BACKEND_URL")
	})
	s.eventually("both collections were tried", func() bool { return len(target.statements("")) == 2 })
	time.Sleep(1500 * time.Millisecond)
	if got := target.statements(""); len(got) != 2 {
		t.Errorf("asked again before a minute is over: %q", got)
	}
	stop()
	if after := s.find("1"); !maps.Equal(after, before) {
		t.Errorf("marked: %v, was %v", after, before)
	}
	mended := &received{}
	began := time.Now()
	s.listen(mended)
	s.eventually("all are done", func() bool { return s.count(bson.M{"processed": true}) == 3 })
	if took := time.Since(began); took > misconfigurationBackoff/2 {
		t.Errorf("took %s", took)
	}
}

// TestStop checks that a request that is under way when the listener stops
// is waited for, and marked.
func TestStop(t *testing.T) {
	s := newScene(t, set.URI())
	s.insert(hand("c", "1", 1), hand("c", "2", 2))
	asked := make(chan struct{}, 2)
	target := &received{answer: func(posted) delivery.Outcome {
		asked <- struct{}{}
		time.Sleep(time.Second)
		return delivery.Outcome{Verdict: delivery.Delivered}
	}}
	_, stop := s.listen(target)
	<-asked
	began := time.Now()
	stop()
	if took := time.Since(began); took > 3*time.Second || len(asked) > 0 {
		t.Errorf("took %s, %d further requests", took, len(asked))
	}
	if s.find("1")["processed"] != true || s.find("2")["processed"] != false || s.find("2")["claim"] != nil {
		t.Errorf("left %v and %v", s.find("1"), s.find("2"))
	}
}

// accepted are credentials that nothing happens to.
type accepted struct{}

func (accepted) Failed(error) {}
func (accepted) Worked()      {}
