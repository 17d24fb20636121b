package listen

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// insert writes one notification by hand per statement, all for one collection.
func (s scene) insert(statements ...string) {
	s.Helper()
	for i, text := range statements {
		_, err := s.queue.InsertOne(s.Context(), bson.M{
			"operation": "MODIFY_COLLECTION", "collection": "c", "operation_statement": text, "processed": false,
			"timestamp": seconds(time.Now()) + float64(i)/1000,
		})
		s.must(err)
	}
}

// TestWrongUsage checks for exit 2 and a remedy.
func TestWrongUsage(t *testing.T) {
	t.Parallel()
	s := newScene(t, "usage_db")
	for _, c := range []struct {
		args string
		want string
	}{
		{"listen", "DDLTAIL_BACKEND_URL is not set"},
		{"listen --stdin", `"usage":"ddltail listen`},
		{"listen here", `"usage":"ddltail listen`},
		{"notify", "usage: ddltail notify"},
		{"notify CREATE_COLLECTION", "needs a collection"},
		{"notify CREATE_TABLE payments", "usage: ddltail notify"},
		{"notify CREATE_INDEX transactions", "needs an index"},
		{"notify CREATE_COLLECTION a b c", "usage: ddltail notify"},
		{"notify DROP_DATABASE payments", "does not accept a collection"},
		{"cleanup --older-than soon", "usage: ddltail cleanup"},
		{"cleanup --older-than -1h", "usage: ddltail cleanup"},
		{"cleanup now", "usage: ddltail cleanup"},
	} {
		if _, stderr := s.ddltail(2, strings.Fields(c.args)...); !strings.Contains(stderr, c.want) || strings.Contains(stderr, "goroutine") {
			t.Errorf("%s: %s", c.args, stderr)
		}
	}
	p := s.launch([]string{"listen"}, "DDLTAIL_LOG_LEVEL=loud", "DDLTAIL_POLL_INTERVAL=0")
	if code, err := p.Wait(t.Context()); err != nil || code != 2 || strings.Count(p.Stderr(), "\n") != 3 {
		t.Errorf("all mistakes at once: exit %d, %v\n%s", code, err, p.Stderr())
	}
	for _, variables := range [][]string{
		{"DDLTAIL_BACKEND_URL=backend/hook"}, {"DDLTAIL_BACKEND_URL=http://me:pa%zz@host/"},
		{"DDLTAIL_BACKEND_URL=http://host/", "DDLTAIL_WEBHOOK_SECRET=pa%zz"}, {"DDLTAIL_BACKEND_URL=http://host/", "DDLTAIL_WEBHOOK_SECRET=whsec_pa%zz"},
	} {
		p := s.launch([]string{"listen"}, variables...)
		code, err := p.Wait(t.Context())
		last, _, _ := strings.Cut(variables[len(variables)-1], "=")
		if err != nil || code != 2 || !strings.Contains(p.Stderr(), last) || strings.Contains(p.Stderr(), "pa%zz") {
			t.Errorf("%q: exit %d, %v\n%s", variables, code, err, p.Stderr())
		}
	}
	if s.count(bson.M{"operation": bson.M{"$exists": true}}) != 0 {
		t.Error("something was written")
	}
}

// TestDatabaseOfNotify checks which database `notify` writes into a notification.
func TestDatabaseOfNotify(t *testing.T) {
	t.Parallel()
	s := newScene(t, "words_db")
	s.ddltail(0, "notify", "create_collection", "payments")
	s.ddltail(0, "notify", "CREATE_COLLECTION", "payments", "--database", "shop")
	s.ddltail(0, "notify", "CREATE_COLLECTION", "payments", "--database=")
	s.ddltail(0, "notify", "DROP_DATABASE")
	for filter, want := range map[string]int64{
		`{"operation":"CREATE_COLLECTION","database":"words_db","ns":"words_db.payments","source":"manual"}`: 1,
		`{"operation":"CREATE_COLLECTION","database":"shop","ns":"shop.payments"}`:                           1,
		`{"operation":"CREATE_COLLECTION","database":{"$exists":false},"ns":{"$exists":false}}`:              1,
		`{"operation":"DROP_DATABASE","database":"words_db","collection":{"$exists":false}}`:                 1,
	} {
		var f bson.M
		s.must(bson.UnmarshalExtJSON([]byte(filter), false, &f))
		if got := s.count(f); got != want {
			t.Errorf("%s: %d", filter, got)
		}
	}
	// No database is configured: the queue is in the default database, which is not that of
	// the change.
	elsewhere := s
	elsewhere.uri = set.URI()
	elsewhere.ddltail(0, "notify", "CREATE_COLLECTION", "words_db_unnamed")
	queue := s.db.Client().Database("ddltail").Collection("schema_notifications")
	doc, err := queue.FindOneAndDelete(t.Context(), bson.M{"collection": "words_db_unnamed"}).Raw()
	if err != nil || !doc.Lookup("database").IsZero() {
		t.Errorf("%s, %v", doc, err)
	}
	elsewhere.ddltail(2, "notify", "DROP_DATABASE")
}

// TestStdout prints notifications to a pipe.
func TestStdout(t *testing.T) {
	t.Parallel()
	s := newScene(t, "stdout_db")
	s.insert("1", "2", "3")
	p := s.launch([]string{"listen", "--stdout"}, "DDLTAIL_BACKEND_URL="+s.backend.URL)
	s.eventually("all are printed", func() bool { return strings.Count(p.Stdout(), "\n") == 3 && s.done() })
	for i, line := range strings.Split(strings.TrimSpace(p.Stdout()), "\n") {
		var n notification
		if err := json.Unmarshal([]byte(line), &n); err != nil || n.Statement != fmt.Sprint(i+1) {
			t.Errorf("line %d is %q, %v", i+1, line, err)
		}
	}
	if n := len(s.backend.got()); n != 0 || s.count(bson.M{"processed_at": bson.M{"$exists": true}}) != 3 {
		t.Errorf("the backend has had %d", n)
	}
}

// TestBrokenPipe checks that a notification is not marked if the write to the pipe
// failed.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	s := newScene(t, "pipe_db")
	s.insert("1")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", binary+" listen --stdout | head -n 1")
	cmd.Env = []string{"DDLTAIL_MONGODB_URI=" + s.uri, "DDLTAIL_HTTP_ADDR=127.0.0.1:0"}
	out := make(chan string, 1)
	go func() {
		text, _ := cmd.Output()
		out <- string(text)
	}()
	s.eventually("the first is taken", func() bool { return s.count(bson.M{"processed": true}) == 1 })
	s.insert("2", "3")
	if text := <-out; strings.Count(text, "\n") != 1 || !strings.Contains(text, `"1"`) {
		t.Errorf("the pipe has had %q", text)
	}
	if n := s.count(bson.M{"processed": false}); n != 2 {
		t.Errorf("%d are left, want 2", n)
	}
}

// TestStop stops a listener whose backend does not answer.
func TestStop(t *testing.T) {
	t.Parallel()
	s := newScene(t, "stop_db")
	s.backend.setAnswer(func(request) reply { return reply{hang: time.Minute} })
	p := s.listen()
	s.insert("1")
	s.eventually("the backend has a request", func() bool { return len(s.backend.got()) == 1 })
	began := time.Now()
	code, err := p.Stop(t.Context())
	if took := time.Since(began); err != nil || code != 0 || took > 5*time.Second {
		t.Errorf("exit %d after %s, %v", code, took, err)
	}
	if n := s.count(bson.M{"processed": false, "claim": bson.M{"$exists": false}}); n != 1 {
		t.Error("the claim was not released")
	}
}

// TestTakeover kills a listener during a request. Another listener must take over.
func TestTakeover(t *testing.T) {
	t.Parallel()
	s := newScene(t, "takeover_db")
	s.backend.setAnswer(func(request) reply { return reply{hang: time.Minute} })
	p := s.listen()
	s.insert("1", "2")
	s.eventually("the backend has a request", func() bool { return len(s.backend.got()) == 1 })
	s.must(p.Kill())
	began := time.Now()
	s.backend.setAnswer(nil)
	other := s.listen()
	s.eventually("both are taken", s.done)
	if took := time.Since(began); took > 25*time.Second || len(s.backend.got()) != 3 {
		t.Errorf("took %s, the backend has had %d requests", took, len(s.backend.got()))
	}
	s.eventually("the metrics say so", func() bool {
		waiting, err := other.Metric(t.Context(), "ddltail_notifications_unprocessed")
		return err == nil && waiting == 0
	})
	for name, want := range map[string]float64{
		`ddltail_deliveries_total{result="delivered"}`: 2, `ddltail_delivery_attempts_total{outcome="delivered"}`: 2,
		`ddltail_delivery_attempts_total{outcome="retry"}`: 0, `ddltail_delivery_latency_seconds_count`: 2,
		`ddltail_oldest_unprocessed_age_seconds`: 0, `ddltail_listen_mode{mode="change_stream"}`: 1,
	} {
		if got, err := other.Metric(t.Context(), name); err != nil || got != want {
			t.Errorf("%s is %v, %v, want %v", name, got, err, want)
		}
	}
}

// TestCleansByItself checks that a listener removes old notifications.
func TestCleansByItself(t *testing.T) {
	t.Parallel()
	s := newScene(t, "clean_db")
	for i := range 3 {
		_, err := s.queue.InsertOne(t.Context(), bson.M{"operation": "X", "collection": "c", "timestamp": i, "processed": i < 2})
		s.must(err)
	}
	p := s.listen()
	s.eventually("the old ones are gone", func() bool { return s.count(bson.M{"operation": "X", "timestamp": bson.M{"$lt": 2}}) == 0 })
	s.eventually("the other is taken", s.done)
	s.eventually("the removal is logged", func() bool { return strings.Contains(p.Stderr(), `"number":2`) })
	if got, err := p.Metric(t.Context(), "ddltail_notifications_cleaned_total"); err != nil || got != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if s.count(bson.M{"operation": "X"}) != 1 {
		t.Error("a notification that was just processed was removed")
	}
}
