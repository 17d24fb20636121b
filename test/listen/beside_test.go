package listen

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/mongotest"
)

// TestSideBySide runs DDL in mongosh with `ddltail run` and `ddltail listen`, without
// manual notifications.
func TestSideBySide(t *testing.T) {
	s := newScene(t, "typed_db")
	s.tail()
	s.listen()
	s.mongosh("", "--eval", `db.createCollection("payments"); db.transactions.insertOne({amount: 1});
		db.transactions.createIndex({amount: 1}, {name: "amount_idx"}); db.payments.drop()`)
	want := []string{
		"CREATE_COLLECTION payments", "CREATE_COLLECTION transactions", "CREATE_INDEX transactions", "DROP_COLLECTION payments",
	}
	s.eventually("all are delivered", func() bool { return len(s.backend.got()) >= len(want) && s.done() })
	var got []string
	var took []time.Duration
	for _, r := range s.backend.got() {
		got = append(got, r.Operation+" "+r.Collection)
		at, _ := r.Timestamp.(float64)
		took = append(took, r.at.Sub(time.UnixMilli(int64(at*1000))))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the backend got %q", got)
	}
	t.Logf("from the change to the backend: %v", took)
}

// TestNotifiedToo writes notifications by hand for changes that `ddltail run` also
// reports. The backend must receive each change once.
func TestNotifiedToo(t *testing.T) {
	t.Parallel()
	s := newScene(t, "notified_db")
	s.tail()
	s.listen()
	s.listen()
	const changes = 15
	for i := range changes {
		name := fmt.Sprint("c", i)
		byHand := bson.M{"operation": "CREATE_COLLECTION", "collection": name, "operation_statement": "CREATE COLLECTION " + name, "processed": false}
		first := i%2 == 0
		for range 2 {
			if first {
				s.must(s.db.CreateCollection(t.Context(), name))
			} else {
				byHand["timestamp"] = seconds(time.Now())
				_, err := s.queue.InsertOne(t.Context(), byHand)
				s.must(err)
			}
			first = !first
		}
	}
	s.mongosh("", "--eval", "load('"+s.file("mongosh-helper.js")+"'); createCollectionWithNotify('helped'); "+
		"createIndexWithNotify('helped', {a: 1}); dropCollectionWithNotify('helped')")
	const all = changes + 3
	s.eventually("all is in the queue", func() bool { return s.count(bson.M{"operation": bson.M{"$exists": true}}) == 2*all })
	s.eventually("all are delivered", s.done)
	if n := s.count(bson.M{"duplicate_of": bson.M{"$exists": true}}); n != all {
		t.Errorf("%d are marked as duplicates, want %d", n, all)
	}
	seen := map[string]int{}
	for _, r := range s.backend.got() {
		seen[r.Operation+" "+r.Collection+" "+r.Index]++
	}
	for what, n := range seen {
		if n != 1 {
			t.Errorf("the backend received %s %d times", what, n)
		}
	}
	if len(seen) != all {
		t.Errorf("the backend received %d changes, want %d", len(seen), all)
	}
}

// TestStoppedRun pauses one of two detectors while changes are reported, delivered and
// cleaned up. It must not write them again when it continues.
func TestStoppedRun(t *testing.T) {
	t.Parallel()
	s := newScene(t, "stopped_db")
	stopped := s.tail()
	s.tail()
	s.listen()
	s.must(stopped.Pause())
	const changes = 50
	for i := range changes {
		s.must(s.db.CreateCollection(t.Context(), fmt.Sprint("c", i)))
	}
	s.eventually("all are delivered", func() bool { return len(s.backend.got()) == changes && s.done() })
	removed := 0
	s.eventually("all is cleaned up", func() bool {
		time.Sleep(200 * time.Millisecond)
		removed += s.removed(s.ddltail(0, "cleanup", "--older-than", "1s"))
		return s.count(bson.M{"operation": bson.M{"$exists": true}}) == 0
	})
	if removed != changes {
		t.Errorf("cleanup reports %d removed", removed)
	}
	s.must(stopped.Resume())
	s.must(s.db.CreateCollection(t.Context(), "last"))
	s.eventually("both have reported the last change", func() bool {
		published, err := stopped.Metric(t.Context(), `ddltail_changes_total{operation="CREATE_COLLECTION"}`)
		return err == nil && published >= changes+1 && len(s.backend.got()) == changes+1 && s.done()
	})
	time.Sleep(500 * time.Millisecond)
	if n := s.count(bson.M{"operation": bson.M{"$exists": true}}); n != 1 || len(s.backend.got()) != changes+1 {
		t.Errorf("%d notifications are there, the backend has had %d, want 1 and %d", n, len(s.backend.got()), changes+1)
	}
}

// removed returns the number in the output of cleanup.
func (s scene) removed(stdout, _ string) int {
	s.Helper()
	var n int
	if _, err := fmt.Sscanf(stdout, "%d notifications removed\n", &n); err != nil {
		s.Errorf("cleanup says %q", stdout)
	}
	return n
}

// TestKilledRun kills a detector whose documents are delivered and processed before its
// checkpoint is saved. Cleanup must keep them until the checkpoint has passed them. It is
// not parallel, because the checkpoint would also cover changes of other tests.
func TestKilledRun(t *testing.T) {
	s := newScene(t, "killed_run_db")
	p := s.tail()
	s.listen()
	s.failCheckpoints("alwaysOn")
	const changes = 5
	for i := range changes {
		s.must(s.db.CreateCollection(t.Context(), fmt.Sprint("c", i)))
	}
	published := func() int64 { return s.count(bson.M{"operation": "CREATE_COLLECTION", "processed": true}) }
	s.eventually("some are delivered", func() bool { return published() > 0 && s.done() })
	time.Sleep(1100 * time.Millisecond)
	if n := s.removed(s.ddltail(0, "cleanup", "--older-than", "1s")); n != 0 {
		t.Errorf("%d went that the checkpoint had not passed", n)
	}
	s.must(p.Kill())
	s.failCheckpoints("off")
	s.tail()
	s.eventually("all are delivered", func() bool { return published() == changes && s.done() })
	time.Sleep(1100 * time.Millisecond)
	would, _ := s.ddltail(0, "cleanup", "--older-than", "1s", "--dry-run")
	if !strings.HasPrefix(would, fmt.Sprint(changes)) || published() != changes {
		t.Errorf("the dry run says %q, and leaves %d", would, published())
	}
	if n := s.removed(s.ddltail(0, "cleanup", "--older-than", "1s")); n != changes || published() != 0 {
		t.Errorf("%d went, %d are left", n, published())
	}
	if got := s.backend.got(); len(got) != changes {
		t.Errorf("the backend has had %d, want %d", len(got), changes)
	}
}

// failCheckpoints makes every member refuse updates of this scene's checkpoint.
func (s scene) failCheckpoints(mode string) {
	s.Helper()
	for _, m := range set.Members() {
		err := mongotest.Connect(s, m.URI()).Database("admin").RunCommand(s.Context(), bson.D{
			{Key: "configureFailPoint", Value: "failCommand"}, {Key: "mode", Value: mode},
			{Key: "data", Value: bson.M{
				"failCommands": bson.A{"update"}, "errorCode": 9001, "namespace": s.db.Name() + ".schema_checkpoints",
			}},
		}).Err()
		s.must(err)
	}
}
