package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/mongotest"
)

// newSmallScene creates a scene with its own set, whose oplog rolls over in seconds.
func newSmallScene(t *testing.T, variables ...string) *scene {
	t.Parallel()
	slot(t)
	return newSceneOn(t, mongotest.NewReplicaSet(t, smallOplog()), variables...)
}

// prepareUnseen makes the first generation of changes while ddltail runs, and stops it. It returns the timestamp up to which
// all changes are published.
func prepareUnseen(s *scene, all []changes) bson.Timestamp {
	s.Helper()
	p := s.run()
	s.ready(p)
	s.from = s.mark("the_beginning")
	s.must(s.client.Database("filler").CreateCollection(s.Context(), "documents"))
	for _, c := range all {
		c.seen()
	}
	end := s.mark("seen")
	s.published("notifications", end)
	s.stop(p)
	return end
}

// changeUnseen makes more than fifty changes while ddltail is stopped.
func changeUnseen(s *scene) {
	s.Helper()
	all := several(s, 2)
	prepareUnseen(s, all)
	for _, c := range all {
		c.unseen()
	}
}

// TestRolledOver truncates more than fifty changes that ddltail has not read, and kills it five times while it compares the
// catalogs.
func TestRolledOver(t *testing.T) {
	sinceFive(t)
	s := newSmallScene(t)
	changeUnseen(s)
	rollOver(s, s.mark("unseen"))
	at, first := checkpoint(s), oldestOfAll(s)
	for range 5 {
		p := s.run()
		waitLogged(s, p, "history is lost", "another ddltail holds the comparison lease", "history gap", "reading the oplog")
		s.while(1, 150)
		s.kill(p)
	}
	s.run()
	gap := checkGap(s)
	if gap.from != at || gap.to.Before(first) || gap.to.After(oldestOfAll(s)) {
		t.Errorf("the gap is from %v to %v; the checkpoint was %v, the oplog began at %v before it was compared and at %v after",
			gap.from, gap.to, at, first, oldestOfAll(s))
	}
}

// checkpoint returns the stored position.
func checkpoint(s *scene) bson.Timestamp {
	s.Helper()
	stored, err := s.sink.Database(database).Collection("schema_checkpoints").FindOne(s.Context(), bson.D{}).Raw()
	s.must(err)
	return timestamp(stored.Lookup("optime", "ts"))
}

// TestHalfRolledOver truncates half of the changes. The other half is still in the oplog and is reported from it.
func TestHalfRolledOver(t *testing.T) {
	sinceFive(t)
	s := newSmallScene(t)
	all := several(s, 2)
	prepareUnseen(s, all)
	all[0].unseen()
	unseen := s.mark("rolled_over")
	rollOver(s, unseen)
	held := s.mark("held")
	all[1].unseen()
	s.run()
	gap := checkGap(s)
	if gap.to.After(held) {
		t.Errorf("the gap ends at %v, but the oplog has %v", gap.to, held)
	}
}

// TestTwoDdltailsAfterRollOver starts two detectors at once after unread entries were
// truncated.
func TestTwoDdltailsAfterRollOver(t *testing.T) {
	slow(t)
	s := newSmallScene(t)
	changeUnseen(s)
	rollOver(s, s.mark("unseen"))
	s.run()
	s.run()
	checkGap(s)
}

// TestFreshlySyncedMembers sets a read preference for members whose oplogs begin after the position. Another member has it,
// so there is no gap.
func TestFreshlySyncedMembers(t *testing.T) {
	slow(t)
	s := newScene(t, "DDLTAIL_READ_PREFERENCE=secondary")
	changeUnseen(s)
	primary := s.primary()
	for _, m := range s.set.Members() {
		if m == primary {
			continue
		}
		s.must(m.Shutdown(t.Context()))
		s.must(m.Wipe())
		s.must(m.Restart(t.Context()))
		s.must(s.set.WaitReady(t.Context()))
	}
	p := s.run()
	s.ready(p)
	if !strings.Contains(p.Stderr(), "only a member outside the read preference has the position") {
		t.Error("ddltail did not read from the only member that has the position")
	}
	s.check()
}

// rollOver writes until every member has truncated the entries up to a timestamp.
func rollOver(s *scene, past bson.Timestamp) {
	s.Helper()
	s.must(s.readOplog(s.Context(), past))
	s.lost = ledger.Truncated
	pad := strings.Repeat("x", mB)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		_, err := s.client.Database("filler").Collection("documents").InsertOne(s.Context(), bson.D{{Key: "pad", Value: pad}})
		s.must(err)
		if oldestOfAll(s).After(past) {
			return
		}
	}
	s.Fatal("the oplog did not roll over")
}

// oldestOfAll returns the timestamp of the oldest entry on any member.
func oldestOfAll(s *scene) bson.Timestamp {
	s.Helper()
	var first bson.Timestamp
	for _, m := range s.set.Members() {
		client, err := connectDirectly(m)
		s.must(err)
		entry, err := client.Database("local").Collection("oplog.rs").FindOne(s.Context(), bson.D{},
			options.FindOne().SetSort(bson.D{{Key: "$natural", Value: 1}})).Raw()
		s.must(err)
		s.must(client.Disconnect(s.Context()))
		if at := timestamp(entry.Lookup("ts")); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

func connectDirectly(m *mongotest.Member) (*mongo.Client, error) {
	return mongo.Connect(options.Client().ApplyURI(m.URI()))
}

// waitLogged waits until a ddltail has logged one of the texts.
func waitLogged(s *scene, p *ddltailtest.Process, words ...string) {
	s.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		text := p.Stderr()
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) }) {
			return
		}
	}
	s.Fatalf("none of %q in the log:\n%s", words, p.Stderr())
}

// gap is the interval of a HISTORY_GAP.
type gap struct{ from, to bson.Timestamp }

// checkGap judges a run in which history was lost, and returns its one gap.
func checkGap(s *scene) gap {
	s.Helper()
	end := s.finish()
	s.judge(end)
	queue, history := s.published("notifications", end), s.published("history", end)
	if fmt.Sprint(idsOf(queue)) != fmt.Sprint(idsOf(history)) {
		s.Errorf("queue and history have different documents:\n%s\n%s", idsOf(queue), idsOf(history))
	}
	gaps := slices.DeleteFunc(queue, func(d ledger.Document) bool { return d.Effect.Operation != "HISTORY_GAP" })
	if len(gaps) != 1 {
		s.Errorf("%d gaps, want one: %v", len(gaps), idsOf(gaps))
		return gap{}
	}
	return gap{from: timestamp(gaps[0].Raw.Lookup("from", "ts")), to: timestamp(gaps[0].Raw.Lookup("to", "ts"))}
}

func idsOf(docs []ledger.Document) []string {
	var ids []string
	for _, d := range docs {
		ids = append(ids, d.ID)
	}
	slices.Sort(ids)
	return ids
}

func timestamp(v bson.RawValue) bson.Timestamp {
	t, i, _ := v.TimestampOK()
	return bson.Timestamp{T: t, I: i}
}
