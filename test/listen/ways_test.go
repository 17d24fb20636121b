package listen

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/notify"
	"github.com/ddltail/ddltail/test/mongotest"
)

// secret is the signing secret of listener and backend.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// way is a way to write notifications by hand, and what the backend must receive.
type way struct {
	name string
	do   func(s scene)
	want []string // operation, collection, index, statement
}

func ways() []way {
	return []way{
		{"insert by mongosh", func(s scene) { s.mongosh("", "--eval", s.example("db.schema_notifications.insertOne")) },
			[]string{"CREATE_COLLECTION payments  CREATE COLLECTION payments"}},
		{"insert without processed, with a date", func(s scene) {
			s.mongosh("", "--eval", `db.schema_notifications.insertOne({operation: "DROP_INDEX", collection: "c", index_name: "i",
				operation_statement: "DROP INDEX c i", timestamp: new Date()})`)
		}, []string{"DROP_INDEX c i DROP INDEX c i"}},
		{"notify", func(s scene) {
			s.ddltail(0, "notify", "CREATE_COLLECTION", "payments")
			s.ddltail(0, "notify", "CREATE_INDEX", "transactions", "amount_idx")
			s.ddltail(0, "notify", "DROP_COLLECTION", "payments", "--statement", "DROP TABLE payments")
		}, []string{"CREATE_COLLECTION payments  CREATE COLLECTION payments",
			"CREATE_INDEX transactions amount_idx CREATE INDEX transactions amount_idx", "DROP_COLLECTION payments  DROP TABLE payments"}},
		{"the helper by load", func(s scene) { s.mongosh("", "--eval", "load('"+s.file("mongosh-helper.js")+"'); "+notifyAll) }, allNotified},
		{"the helper in .mongoshrc.js", byMongoshrc, allChanged},
		{"Python", func(s scene) {
			env := []string{"PYTHONPATH=" + s.script("python-deps.sh") + ":" + filepath.Dir(s.file("notify_schema_change.py")), "PYTHONDONTWRITEBYTECODE=1", "DDLTAIL_MONGODB_URI=" + s.uri}
			s.run(tool{args: []string{"python3", "-c", "from notify_schema_change import notify_schema_change\n" + s.example("notify_schema_change(\"")}, env: env})
			s.run(tool{args: []string{"python3", s.file("notify_schema_change.py"), "DROP_INDEX", "transactions", "amount_idx"}, env: env})
		}, []string{"CREATE_COLLECTION payments  CREATE COLLECTION payments", "CREATE_INDEX transactions amount_idx CREATE INDEX transactions amount_idx",
			"DROP_INDEX transactions amount_idx DROP INDEX transactions amount_idx"}},
		{"Node, by migrate-mongo", byMigrateMongo,
			[]string{"CREATE_COLLECTION payments  CREATE COLLECTION payments", "DROP_COLLECTION payments  DROP COLLECTION payments"}},
		{"Go", func(s scene) {
			s.must(notify.SchemaChange(s.Context(), s.db, notify.Change{Operation: "DROP_INDEX", Collection: "c", Index: "i"}))
		}, []string{"DROP_INDEX c i DROP INDEX c i"}},
	}
}

const notifyAll = `notifyCreateCollection('payments'); notifyCreateIndex('transactions', 'amount_idx');
	notifyDropIndex('transactions', 'amount_idx'); notifyDropCollection('pay"ments', "it's gone")`

var allNotified = []string{
	"CREATE_COLLECTION payments  CREATE COLLECTION payments",
	"CREATE_INDEX transactions amount_idx CREATE INDEX transactions amount_idx",
	"DROP_INDEX transactions amount_idx DROP INDEX transactions amount_idx",
	"DROP_COLLECTION pay\"ments  it's gone",
}

var allChanged = []string{
	"CREATE_COLLECTION made  CREATE COLLECTION made",
	"CREATE_INDEX made amount_idx db.made.createIndex({amount: 1}, {name: 'amount_idx'})",
	`CREATE_INDEX stats it's db.getCollection('stats').createIndex({'a.b': -1}, {unique: true, name: 'it\'s'})`,
	"DROP_COLLECTION made  DROP COLLECTION made",
}

// byMongoshrc enters statements at the prompt of a shell whose .mongoshrc.js loads the
// helper.
func byMongoshrc(s scene) {
	home := s.TempDir()
	s.must(os.WriteFile(filepath.Join(home, ".mongoshrc.js"), []byte("load('"+s.file("mongosh-helper.js")+"')\n"), 0o600))
	s.mongoshAt(home, `
		createCollectionWithNotify('made')
		createIndexWithNotify('made', {amount: 1}, {name: 'amount_idx'})
		createIndexWithNotify('stats', {'a.b': -1}, {unique: true, name: "it's"})
		dropCollectionWithNotify('made')
		dropCollectionWithNotify('made')
	`)
	indexes, err := s.db.Collection("stats").Indexes().ListSpecifications(s.Context())
	if err != nil || len(indexes) != 2 || indexes[1].Name != "it's" {
		s.Errorf("indexes %v, %v", indexes, err)
	}
}

// byMigrateMongo runs the migration of the documentation, up and down.
func byMigrateMongo(s scene) {
	modules := filepath.Join(s.script("node-deps.sh"), "node_modules")
	dir := s.TempDir()
	s.must(os.Symlink(modules, filepath.Join(dir, "node_modules")))
	s.must(os.Mkdir(filepath.Join(dir, "migrations"), 0o700))
	s.must(os.WriteFile(filepath.Join(dir, "migrations", "20260101000000-payments.js"), []byte(s.example("module.exports")), 0o600))
	config := fmt.Sprintf("module.exports = {mongodb: {url: '%s', databaseName: '%s'}, migrationsDir: 'migrations', "+
		"changelogCollectionName: 'changelog', migrationFileExtension: '.js', moduleSystem: 'commonjs'};", s.uri, s.db.Name())
	s.must(os.WriteFile(filepath.Join(dir, "migrate-mongo-config.js"), []byte(config), 0o600))
	for _, way := range []string{"up", "down"} {
		s.run(tool{args: []string{filepath.Join(modules, ".bin", "migrate-mongo"), way}, dir: dir})
	}
}

// setUp runs the setup script three times: it must be idempotent.
func setUp(s scene) {
	text, err := os.ReadFile(s.file("mongodb-trigger-setup.js"))
	s.must(err)
	s.mongosh(string(text))
	s.mongosh(string(text))
	s.mongosh("", "--file", s.file("mongodb-trigger-setup.js"))
	specs, err := s.queue.Indexes().ListSpecifications(s.Context())
	s.must(err)
	var names []string
	for _, i := range specs {
		names = append(names, i.Name+i.KeysDocument.String())
	}
	if len(specs) != 3 || !strings.Contains(strings.Join(names, ""), "timestamp_1") || specs[2].Sparse == nil || !*specs[2].Sparse {
		s.Errorf("indexes %q", names)
	}
	if n := s.count(bson.M{"_id": "init", "type": "init", "timestamp": bson.M{"$type": "date"}}); n != 1 || s.count(bson.M{}) != 1 {
		s.Errorf("%d init documents of %d", n, s.count(bson.M{}))
	}
}

// TestWaysByStream delivers the notifications of every way on a replica set.
func TestWaysByStream(t *testing.T) {
	s := newScene(t, "banking_db")
	setUp(s)
	s.listen("DDLTAIL_WEBHOOK_SECRET=" + secret)
	walk(s)
	latency(s, 0)
}

// TestWaysByPolling delivers them on a standalone server.
func TestWaysByPolling(t *testing.T) {
	t.Parallel()
	const interval = 300 * time.Millisecond
	server := mongotest.NewStandalone(t, mongotest.Options{})
	uri := strings.Replace(server.URI(), "/?", "/banking_db?", 1)
	s := sceneAt(t, mongotest.Connect(t, server.URI()), uri, "banking_db")
	setUp(s)
	p := s.listen("DDLTAIL_WEBHOOK_SECRET="+secret, "DDLTAIL_POLL_INTERVAL="+interval.String())
	walk(s)
	latency(s, interval)
	if n := strings.Count(p.Stderr(), `"detecting new notifications by polling"`); n != 1 || !strings.Contains(p.Stderr(), "40573") {
		t.Errorf("polling was logged %d times\n%s", n, p.Stderr())
	}
	for _, sample := range []string{`ddltail_listen_mode{mode="polling"} 1`, `ddltail_listen_mode{mode="change_stream"} 0`} {
		name, want, _ := strings.Cut(sample, "} ")
		if got, err := p.Metric(t.Context(), name+"}"); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v", sample, got, err)
		}
	}
}

// walk runs every way and compares the received notifications.
func walk(s scene) {
	s.Helper()
	for _, w := range ways() {
		s.backend.forget()
		w.do(s)
		s.eventually(w.name+" is delivered", func() bool { return len(s.backend.got()) >= len(w.want) && s.done() })
		got := s.backend.got()
		var texts []string
		for _, r := range got {
			texts = append(texts, fmt.Sprintf("%s %s %s %s", r.Operation, r.Collection, r.Index, r.Statement))
			checkRequest(s, r)
		}
		// Only the order within a collection is guaranteed.
		slices.Sort(texts)
		if want := slices.Sorted(slices.Values(w.want)); !slices.Equal(texts, want) {
			s.Errorf("%s: the backend got\n%q, want\n%q", w.name, texts, want)
		}
	}
}

// checkRequest checks the headers and body of a request. The signature is verified by the
// library that backends use.
func checkRequest(s scene, r request) {
	s.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	s.must(err)
	if err := verifier.Verify(r.raw, r.header); err != nil {
		s.Errorf("%s: %v", r.raw, err)
	}
	if id, err := hex.DecodeString(r.header.Get("webhook-id")); err != nil || len(id) != 32 {
		s.Errorf("webhook-id %q", r.header.Get("webhook-id"))
	}
	for _, own := range []string{"claim", "attempts", "processed_at"} {
		if strings.Contains(string(r.raw), `"`+own+`"`) {
			s.Errorf("the body has the listener's own %s: %s", own, r.raw)
		}
	}
	if r.Processed != nil && *r.Processed || r.Timestamp == nil {
		s.Errorf("processed %v, timestamp %v", *r.Processed, r.Timestamp)
	}
}

// latency measures the time from an insert to its delivery, at times spread over the
// polling interval.
func latency(s scene, interval time.Duration) {
	s.Helper()
	var took []time.Duration
	for i := range 30 {
		time.Sleep(time.Duration(rand.Int64N(int64(interval) + 1)))
		s.backend.forget()
		began := time.Now()
		_, err := s.queue.InsertOne(s.Context(), bson.M{
			"operation": "CREATE_COLLECTION", "collection": fmt.Sprint("c", i), "timestamp": seconds(began), "processed": false,
		})
		s.must(err)
		for len(s.backend.got()) == 0 {
			if time.Since(began) > 10*time.Second {
				s.Fatal("nothing arrives")
			}
			time.Sleep(time.Millisecond)
		}
		took = append(took, s.backend.got()[0].at.Sub(began))
	}
	half, most := median(took)
	s.Logf("from insert to delivery: median %.1f ms, 95th percentile %.1f ms, polling each %s", half, most, interval)
	if limit := float64((interval + 100*time.Millisecond).Milliseconds()); half > limit {
		s.Errorf("median %.1f ms, want under %.0f ms", half, limit)
	}
}
