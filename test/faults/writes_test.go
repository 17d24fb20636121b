package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/mongotest"
)

// The tests in this file stop ddltail between two of its writes: the server refuses the next command, so that ddltail retries it. A
// write path with another order, or with concurrent writes, must pass them too.

// operationFailed is an error that the driver does not retry.
const operationFailed = 96

// refusal is a command on one of ddltail's own collections that the server refuses.
type refusal struct{ command, collection string }

// refuse makes every member refuse a command, until allow is called. Stopped members must have been restarted by then.
func (s *scene) refuse(r refusal) (allow func()) {
	s.Helper()
	set := func(mode string) {
		s.Helper()
		for _, m := range s.set.Members() {
			failpoint(s, m, "failCommand", mode,
				bson.E{Key: "failCommands", Value: bson.A{r.command}},
				bson.E{Key: "namespace", Value: database + ".schema_" + r.collection},
				bson.E{Key: "errorCode", Value: operationFailed})
		}
	}
	set("alwaysOn")
	return func() { set("off") }
}

// eventually polls until the condition holds.
func (s *scene) eventually(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not in time: %s", what)
		}
	}
}

// holds reports whether one of ddltail's collections has a document of each of these namespaces.
func (s *scene) holds(collection string, namespaces ...string) bool {
	s.Helper()
	for _, ns := range namespaces {
		err := s.sink.Database(database).Collection("schema_"+collection).FindOne(s.Context(), bson.D{{Key: "ns", Value: ns}}).Err()
		if err != nil {
			return false
		}
	}
	return true
}

// detected waits until a ddltail has detected the given number of changes.
func (s *scene) detected(p *ddltailtest.Process, changes float64) {
	s.Helper()
	s.eventually("changes are detected", func() bool {
		n, err := p.Metric(s.Context(), `ddltail_changes_total{operation="CREATE_COLLECTION"}`)
		return err == nil && n >= changes
	})
}

// quiet starts a ddltail without a load, and begins the recorded run.
func (s *scene) quiet() *ddltailtest.Process {
	s.Helper()
	p := s.run()
	s.ready(p)
	s.from = s.mark("the_beginning")
	s.passed(s.from)
	return p
}

// again starts a ddltail after another one was killed, and waits until it has written everything.
func (s *scene) again() *ddltailtest.Process {
	s.Helper()
	p := s.run()
	s.ready(p)
	s.passed(s.mark("again"))
	return p
}

// passed waits until the checkpoint is at or after a timestamp; otherwise ddltail could be retrying an earlier
// write.
func (s *scene) passed(at bson.Timestamp) {
	s.Helper()
	s.eventually("the checkpoint passes the change", func() bool { return !checkpoint(s).Before(at) })
}

// TestKilledBehindEachWrite kills ddltail after each write of a transaction's changes, and deletes the checkpoint, so that the position
// is derived from history and catalog.
func TestKilledBehindEachWrite(t *testing.T) {
	s := newScene(t)
	s.lost = ledger.Position
	p := s.quiet()
	behind := []struct {
		written string // the collection that has it, empty for none
		refused refusal
	}{
		{"", refusal{"insert", "history"}},
		{"history", refusal{"insert", "notifications"}},
		{"notifications", refusal{"insert", "catalog"}},
		{"catalog", refusal{"update", "checkpoints"}},
	}
	for i := range times() {
		for _, b := range behind {
			name := fmt.Sprintf("behind_%s_%d", b.written, i)
			allow := s.refuse(b.refused)
			s.changes("killed").inTransaction(create(name), create(name+"_too"))
			if b.written != "" {
				s.eventually(b.written+" has the changes", func() bool {
					return s.holds(b.written, "changes_killed."+name, "changes_killed."+name+"_too")
				})
			} else {
				s.eventually("the history refuses", func() bool { return strings.Contains(p.Stderr(), "sink write failed") })
			}
			s.kill(p)
			allow()
			deleteCheckpoint(s)
			p = s.again()
		}
		s.passed(s.mark("behind_checkpoints"))
		s.kill(p)
		deleteCheckpoint(s)
		p = s.again()
	}
	s.check()
}

// TestStoppedBeforeWriting pauses a detector that has detected changes and not written them, while another one writes them, a listener
// processes them and cleanup removes them. The first one must not write them again when it continues. It is paused alternately before
// it reads the checkpoint, and between two attempts to write to the history.
func TestStoppedBeforeWriting(t *testing.T) {
	s := newScene(t)
	stopped := s.quiet()
	detected := 1.0
	for i := range 2 * times() {
		var names []string
		refused := refusal{"find", "checkpoints"}
		if i%2 == 1 {
			refused = refusal{"insert", "history"}
		}
		time.Sleep(1100 * time.Millisecond) // longer than maxStoredAge, so that the checkpoint is read again
		allow := s.refuse(refused)
		failed := strings.Count(stopped.Stderr(), "sink write failed")
		var creates []bson.D
		for n := range 2 {
			name := fmt.Sprintf("c%d_%d", i, n)
			names, creates = append(names, "changes_stopped."+name), append(creates, create(name))
		}
		s.changes("stopped").inTransaction(creates...)
		s.detected(stopped, detected+2)
		s.eventually("the write is refused", func() bool { return strings.Count(stopped.Stderr(), "sink write failed") > failed })
		s.must(stopped.Pause())
		allow()
		other := s.run()
		s.ready(other)
		s.eventually("the other detector has written all", func() bool { return s.holds("catalog", names...) })
		s.cleanUp(names)
		s.must(stopped.Resume())
		s.stop(other)
		s.passed(s.mark("stopped"))
		detected += 3
	}
	s.check()
}

// cleanUp runs a listener, then cleanup with an age of a second, until the queue has no notification of the namespaces.
func (s *scene) cleanUp(namespaces []string) {
	s.Helper()
	listener, err := ddltailtest.Start(binary, []string{"listen", "--stdout"}, s.variables...)
	s.must(err)
	queue := s.sink.Database(database).Collection("schema_notifications")
	of := bson.D{{Key: "ns", Value: bson.D{{Key: "$in", Value: namespaces}}}}
	s.eventually("all is processed", func() bool {
		n, err := queue.CountDocuments(s.Context(), append(of, bson.E{Key: "processed", Value: true}))
		return err == nil && n == int64(len(namespaces))
	})
	s.stop(listener)
	s.eventually("all is cleaned up", func() bool {
		p, err := ddltailtest.Start(binary, []string{"cleanup", "--older-than", "1s"}, s.variables...)
		s.must(err)
		code, err := p.Wait(s.Context())
		s.must(err)
		if code != 0 {
			s.Fatalf("cleanup: exit code %d:\n%s", code, p.Stderr())
		}
		s.must(p.Close())
		n, err := queue.CountDocuments(s.Context(), of)
		return err == nil && n == 0
	})
}

// TestStepDownBetweenWrites changes the primary of the sink between the write to the history and that to the queue: alternately it
// steps down when the history is majority-committed, and is killed when only it has the document, which then rolls back.
func TestStepDownBetweenWrites(t *testing.T) {
	s := newScene(t)
	p := s.quiet()
	for i := range 2 * times() {
		ns := fmt.Sprintf("changes_between.c%d", i)
		if i%2 == 0 {
			allow := s.refuse(refusal{"insert", "notifications"})
			s.changes("between").run("changes_between", create(fmt.Sprintf("c%d", i)))
			s.eventually("the history has it", func() bool { return s.holds("history", ns) })
			stepDown(s)
			allow()
		} else {
			s.historyAlone(p, fmt.Sprintf("c%d", i), ns)
		}
		s.eventually("the queue has it", func() bool { return s.holds("notifications", ns) })
		s.must(s.set.WaitReady(s.Context()))
		s.passed(s.mark("between"))
	}
	s.check()
}

// historyAlone makes a change whose document in the history rolls back: the secondaries do not replicate it before the primary is
// killed.
func (s *scene) historyAlone(p *ddltailtest.Process, name, ns string) {
	s.Helper()
	primary := s.primary()
	s.must(p.Pause())
	s.changes("between").run("changes_between", create(name))
	replicate := s.cutOff(primary)
	s.must(p.Resume())
	alone := mongotest.Connect(s.T, primary.URI()).Database(database).Collection("schema_history",
		options.Collection().SetReadConcern(nil))
	s.eventually("the primary's history has it", func() bool {
		return alone.FindOne(s.Context(), bson.D{{Key: "ns", Value: ns}}).Err() == nil
	})
	s.must(primary.Kill())
	replicate()
	s.primary()
	s.restart(primary)
}

// cutOff stops the secondaries of a primary from replicating until replicate is called.
func (s *scene) cutOff(primary *mongotest.Member) (replicate func()) {
	s.Helper()
	set := func(mode string) {
		s.Helper()
		for _, m := range s.set.Members() {
			if m != primary {
				failpoint(s, m, "stopReplProducer", mode)
			}
		}
	}
	set("alwaysOn")
	return func() { set("off") }
}

// TestRolledOverBeforeCheckpoint kills ddltail after changes are written to history and queue and before the checkpoint passes them,
// then truncates the oplog. The changes are reported again as inferred: a known limit of guarantee 1, which the verdict counts.
func TestRolledOverBeforeCheckpoint(t *testing.T) {
	s := newSmallScene(t)
	p := s.run()
	s.ready(p)
	s.must(s.client.Database("filler").CreateCollection(s.Context(), "documents"))
	s.from = s.mark("the_beginning")
	s.passed(s.from)
	for i := range times() {
		name := fmt.Sprintf("c%d", i)
		allow := s.refuse(refusal{"insert", "catalog"})
		s.changes("written").run("changes_written", create(name))
		s.eventually("the queue has it", func() bool { return s.holds("notifications", "changes_written."+name) })
		s.kill(p)
		rollOver(s, must[bson.Timestamp](t)(newest(t.Context(), s.client)))
		allow()
		p = s.again()
	}
	v := s.check()
	if len(v.Limits) < 2*times() {
		t.Errorf("%d changes were reported again, want one in each sink and round: the checkpoint did not stay behind", len(v.Limits))
	}
}
