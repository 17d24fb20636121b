package faults

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/mongotest"
)

// newSceneWithSink creates a scene whose queue is on another server, where faults of the set do not
// affect it.
func newSceneWithSink(t *testing.T, set *mongotest.ReplicaSet, server mongotest.Standalone, variables ...string) *scene {
	t.Helper()
	s := newSceneOn(t, set, append(variables, "DDLTAIL_SINK_URI="+server.URI())...)
	s.sink = mongotest.Connect(t, server.URI())
	return s
}

// TestRestoredBackup restores older data files: the checkpoint then belongs to a history that no longer exists.
func TestRestoredBackup(t *testing.T) {
	sinceFive(t)
	t.Parallel()
	slot(t)
	server := mongotest.NewStandalone(t, mongotest.Options{})
	s := newSceneWithSink(t, mongotest.NewReplicaSet(t, threeMembers()), server)
	all := several(s, 2)
	prepareUnseen(s, all)
	copies := t.TempDir()
	allDown(s, func(m *mongotest.Member) { s.must(m.Backup(filepath.Join(copies, m.Addr()))) })

	p := s.run()
	s.ready(p)
	all[0].unseen()
	s.published("notifications", s.mark("lost_by_the_backup"))
	s.stop(p)
	allDown(s, func(m *mongotest.Member) { s.must(m.Restore(filepath.Join(copies, m.Addr()))) })
	all[1].unseen()
	s.run()
	checkOtherHistory(s)
}

// allDown shuts the set down, calls do for each member, and restarts the set.
func allDown(s *scene, do func(*mongotest.Member)) {
	s.Helper()
	for _, m := range secondariesFirst(s) {
		s.must(m.Shutdown(s.Context()))
	}
	for _, m := range s.set.Members() {
		do(m)
	}
	for _, m := range s.set.Members() {
		s.restart(m)
	}
	s.must(s.set.WaitReady(s.Context()))
}

// TestSetMadeAnew replaces a set by a new one with the same name and the same sink.
func TestSetMadeAnew(t *testing.T) {
	slow(t)
	t.Parallel()
	slot(t)
	server := mongotest.NewStandalone(t, mongotest.Options{})
	old := newSceneWithSink(t, mongotest.NewReplicaSet(t, threeMembers()), server)
	prepareUnseen(old, several(old, 2))
	for _, m := range old.set.Members() {
		old.must(m.Kill())
	}

	s := newSceneWithSink(t, mongotest.NewReplicaSet(t, threeMembers()), server)
	all := several(s, 2)
	s.must(s.client.Database("filler").CreateCollection(t.Context(), "documents"))
	all[0].seen()
	all[0].unseen()
	s.from = s.mark("anew")
	s.run()
	checkOtherHistory(s)
}

// checkOtherHistory judges a run after which the set has another history: one HISTORY_GAP, and the notifications result in the
// server's catalog.
func checkOtherHistory(s *scene) {
	s.Helper()
	s.ready(s.running[0])
	waitGap(s)
	s.changes("afterwards").seen()
	s.lost = ledger.Replaced
	checkGap(s)
}

// waitGap waits until a HISTORY_GAP is published.
func waitGap(s *scene) {
	s.Helper()
	coll := s.sink.Database(database).Collection("schema_notifications")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if coll.FindOne(s.Context(), bson.D{{Key: "operation", Value: "HISTORY_GAP"}}).Err() == nil {
			return
		}
	}
	s.Fatal("no HISTORY_GAP was published")
}

// TestTwoSetsOfOneSource runs a ddltail on a second set with the sink and the SOURCE of a first one, by the set's name or by
// DDLTAIL_SOURCE. It must exit with a remedy, and none of its set's changes may be written to the sink.
func TestTwoSetsOfOneSource(t *testing.T) {
	t.Parallel()
	slot(t)
	server := mongotest.NewStandalone(t, mongotest.Options{})
	first := newSceneWithSink(t, mongotest.NewReplicaSet(t, threeMembers()), server)
	first.begin()
	for _, name := range []string{source, "another"} {
		second := newSceneWithSink(t, mongotest.NewReplicaSet(t, mongotest.Options{Name: name}), server, "DDLTAIL_SOURCE="+source)
		changes := second.changes("foreign_" + name)
		changes.run(changes.name, create("before"))
		p := second.run()
		changes.run(changes.name, create("during"))
		second.refused(p, "DDLTAIL_SOURCE")
		changes.run(changes.name, create("after"))
	}
	first.check()
}

// TestRollingIndexBuild builds indexes member by member, each restarted as a standalone, so that they are in no oplog. RECONCILE
// reports each of them once, at a start and at an interval.
func TestRollingIndexBuild(t *testing.T) {
	slow(t)
	s := newScene(t)
	c := s.changes("rolling")
	p := s.run()
	s.ready(p)
	s.from = s.mark("the_beginning")
	c.seen()
	rollingBuild(s, c.name, index("stays", "by_start", by("a")))
	s.stop(p)

	p = s.run("DDLTAIL_RECONCILE=start")
	waitInferred(s, "by_start")
	rollingBuild(s, c.name, index("stays", "by_interval", by("b")))
	s.stop(p)
	s.run("DDLTAIL_RECONCILE=2s")
	waitInferred(s, "by_interval")
	time.Sleep(5 * time.Second)

	s.lost = ledger.Unlogged
	v := s.check()
	for _, sink := range v.Received {
		if sink.Inferred != 2 || sink.Gaps != 0 {
			t.Errorf("%s: %d inferred and %d gaps, want the two indexes", sink.Sink, sink.Inferred, sink.Gaps)
		}
	}
}

// rollingBuild builds an index on each member as a standalone, the primary last.
func rollingBuild(s *scene, db string, cmd bson.D) {
	s.Helper()
	for _, m := range secondariesFirst(s) {
		s.must(m.Shutdown(s.Context()))
		s.must(m.RestartStandalone(s.Context(), "--setParameter", "disableLogicalSessionCacheRefresh=true"))
		client := mongotest.Connect(s.T, m.URI())
		s.must(client.Database(db).RunCommand(s.Context(), cmd).Err())
		s.must(m.Shutdown(s.Context()))
		s.restart(m)
		s.must(s.set.WaitReady(s.Context()))
	}
}

// secondariesFirst returns all members, the primary last, so that there is no election
// before it is stopped.
func secondariesFirst(s *scene) []*mongotest.Member {
	s.Helper()
	primary := s.primary()
	members := slices.DeleteFunc(slices.Clone(s.set.Members()), func(m *mongotest.Member) bool { return m == primary })
	return append(members, primary)
}

// waitInferred waits until an index that is in no oplog is published.
func waitInferred(s *scene, name string) {
	s.Helper()
	coll := s.sink.Database(database).Collection("schema_notifications")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if coll.FindOne(s.Context(), bson.D{{Key: "index_name", Value: name}, {Key: "source", Value: "snapshot"}}).Err() == nil {
			return
		}
	}
	s.Fatalf("the index %s was not found", name)
}

// TestRollbackDuringComparison makes ddltail compare after lost history on a primary whose newest DDL is on no other member, then
// kills that primary, so that the DDL rolls back.
func TestRollbackDuringComparison(t *testing.T) {
	slow(t)
	t.Parallel()
	slot(t)
	server := mongotest.NewStandalone(t, mongotest.Options{})
	s := newSceneWithSink(t, mongotest.NewReplicaSet(t, smallOplog()), server)
	changeUnseen(s)
	unseen := s.mark("unseen")
	rollOver(s, unseen)

	primary := s.primary()
	for _, m := range s.set.Members() {
		if m != primary {
			failpoint(s, m, "stopReplProducer", "alwaysOn")
		}
	}
	cutOff := changeAlone(s, mongotest.Connect(t, primary.URI()), 0)
	p := s.run()
	waitLogged(s, p, "history is lost")
	s.while(200, 2000)
	s.must(primary.Kill())
	for _, m := range s.set.Members() {
		if m != primary {
			failpoint(s, m, "stopReplProducer", "off")
		}
	}
	s.primary()
	s.while(500, 1500)
	s.restart(primary)
	s.recovered()
	notRolledBack(s, cutOff)
	s.ready(p)
	checkGap(s)
	for _, e := range cutOff {
		n, err := s.sink.Database(database).Collection("schema_notifications").CountDocuments(t.Context(), bson.D{{Key: "ns", Value: e.NS}})
		s.must(err)
		if n > 0 {
			t.Errorf("a change that rolled back was published: %s", e)
		}
	}
}
