package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddlgen"
	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/mongotest"
)

// newSmallScene has a set of its own, whose oplog rolls over in seconds.
func newSmallScene(t *testing.T, variables ...string) *scene {
	t.Parallel()
	slot(t)
	return newSceneOn(t, mongotest.NewReplicaSet(t, smallOplog()), variables...)
}

// prepareUnseen lets ddltail see the first generation of changes, and stops it. It gives the moment up to which all is told.
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
	s.told("notifications", end)
	s.stop(p)
	return end
}

// changeUnseen makes more than fifty changes that ddltail does not see.
func changeUnseen(s *scene) {
	s.Helper()
	all := several(s, 2)
	prepareUnseen(s, all)
	for _, c := range all {
		c.unseen()
	}
}

// TestRolledOver rolls the oplog over with more than fifty changes in it that ddltail has not seen, and kills it five times while it
// compares.
func TestRolledOver(t *testing.T) {
	sinceFive(t)
	s := newSmallScene(t)
	changeUnseen(s)
	rollOver(s, s.mark("unseen"))
	at, first := checkpoint(s), oldestOfAll(s)
	for range 5 {
		p := s.run()
		saysOneOf(s, p, "history is lost", "another ddltail holds the comparison lease", "history gap", "reading the oplog")
		s.while(1, 150)
		s.kill(p)
	}
	s.run()
	gap := checkGap(s)
	if gap.from != at || gap.to.Before(first) || gap.to.After(oldestOfAll(s)) {
		t.Errorf("the gap reaches from %v to %v; the checkpoint was %v, the oplog began at %v before it was compared and at %v after",
			gap.from, gap.to, at, first, oldestOfAll(s))
	}
}

// checkpoint is the stored position.
func checkpoint(s *scene) bson.Timestamp {
	s.Helper()
	stored, err := s.sink.Database(database).Collection("schema_checkpoints").FindOne(s.Context(), bson.D{}).Raw()
	s.must(err)
	return timestamp(stored.Lookup("optime", "ts"))
}

// TestHalfRolledOver rolls half of the changes over. The other half is still held: it is told one by one, from the oplog.
func TestHalfRolledOver(t *testing.T) {
	sinceFive(t)
	s := newSmallScene(t)
	all := several(s, 2)
	prepareUnseen(s, all)
	all[0].unseen()
	unseen := s.mark("rolled_over")
	s.happened(s.from, unseen) // while it can be read: which views there are
	rollOver(s, unseen)
	held := s.mark("held")
	all[1].unseen()
	s.run()
	gap := checkGap(s)
	if gap.to.After(held) {
		t.Errorf("the gap reaches to %v, and %v is still held", gap.to, held)
	}
}

// TestTwoDdltailsAfterRollOver starts two at once.
func TestTwoDdltailsAfterRollOver(t *testing.T) {
	slow(t)
	s := newSmallScene(t)
	changeUnseen(s)
	rollOver(s, s.mark("unseen"))
	s.run()
	s.run()
	checkGap(s)
}

// TestFreshlySyncedMembers prefers members whose oplogs begin after the position, while another one still holds it: no gap.
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
		t.Error("it did not need the one member that holds the position")
	}
	end := s.mark("the_end")
	made := s.happened(s.from, end)
	for _, collection := range []string{"notifications", "history"} {
		told := s.told(collection, end)
		s.compare(collection, made, ledger.Within(told, s.from, end))
		if gaps := slices.DeleteFunc(told, ledger.Document.FromOplog); len(gaps) > 0 {
			t.Errorf("%s holds %s", collection, gaps[0].ID)
		}
	}
	foldsToServer(s, s.told("notifications", end))
}

// rollOver writes until no member holds an entry of that moment any more.
func rollOver(s *scene, past bson.Timestamp) {
	s.Helper()
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

// oldestOfAll is the first entry that any member still holds.
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

// saysOneOf waits until a ddltail has logged one of these.
func saysOneOf(s *scene, p *ddltailtest.Process, words ...string) {
	s.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		text := p.Stderr()
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) }) {
			return
		}
	}
	s.Fatalf("it says none of %q:\n%s", words, p.Stderr())
}

// gap is what a HISTORY_GAP says.
type gap struct{ from, to bson.Timestamp }

// checkGap does the books where history was lost: one HISTORY_GAP, each difference once, what is still held told from the oplog, and
// the catalog that follows from all of it equal to the server's.
func checkGap(s *scene) gap {
	s.Helper()
	// The entry at the gap's end is the first that is not lost.
	return checkBehind(s, func(g gap) bson.Timestamp { return bson.Timestamp{T: g.to.T, I: g.to.I - 1} })
}

// checkBehind is told behind which moment the oplog is told.
func checkBehind(s *scene, held func(gap) bson.Timestamp) gap {
	s.Helper()
	end := s.mark("the_end")
	s.told("notifications", end)
	for len(s.running) > 0 {
		s.stop(s.running[0])
	}
	queue, history := s.told("notifications", end), s.told("history", end)
	if fmt.Sprint(idsOf(queue)) != fmt.Sprint(idsOf(history)) {
		s.Errorf("queue and history hold other documents:\n%s\n%s", idsOf(queue), idsOf(history))
	}
	found := checkInferred(s, "notifications", queue)
	checkInferred(s, "history", history)
	from := held(found)
	made := s.happened(from, end)
	s.compare("notifications", made, ledger.Within(queue, from, end))
	s.compare("history", made, ledger.Within(history, from, end))
	foldsToServer(s, queue)
	foldsToServer(s, history)
	return found
}

func idsOf(told []ledger.Document) []string {
	var ids []string
	for _, d := range told {
		ids = append(ids, d.ID)
	}
	slices.Sort(ids)
	return ids
}

// checkInferred looks at the documents that no oplog entry stands behind.
func checkInferred(s *scene, collection string, told []ledger.Document) gap {
	s.Helper()
	var gaps, inferred []ledger.Document
	for _, d := range told {
		switch {
		case d.Effect.Operation == "HISTORY_GAP":
			gaps = append(gaps, d)
		case !d.FromOplog():
			inferred = append(inferred, d)
		}
	}
	counts := map[ledger.Effect]int{}
	for _, d := range inferred {
		if counts[d.Effect]++; counts[d.Effect] > 1 {
			s.Errorf("%s: inferred twice: %s %s", collection, d.ID, d.Effect)
		}
		checkBracket(s, d)
	}
	s.Logf("%s: %d gaps, %d differences inferred", collection, len(gaps), len(inferred))
	if len(gaps) != 1 {
		s.Errorf("%s: %d gaps, want one: %v", collection, len(gaps), idsOf(gaps))
		return gap{}
	}
	g := gap{from: timestamp(gaps[0].Raw.Lookup("from", "ts")), to: timestamp(gaps[0].Raw.Lookup("to", "ts"))}
	if want := fmt.Sprintf("%s:gap:%010d:%010d", source, g.to.T, g.to.I); gaps[0].ID != want || gaps[0].Source != "snapshot" {
		s.Errorf("%s: the gap is %s, source %s, want %s, snapshot", collection, gaps[0].ID, gaps[0].Source, want)
	}
	for _, bound := range []string{"from", "to"} {
		if _, ok := gaps[0].Raw.Lookup(bound, "wall").DateTimeOK(); !ok {
			s.Errorf("the gap does not say when its %s was: %s", bound, gaps[0].Raw)
		}
	}
	return g
}

// checkBracket sees that an inferred document says between which moments it must have happened, and not when.
func checkBracket(s *scene, d ledger.Document) {
	s.Helper()
	_, after := d.Raw.Lookup("not_before").DateTimeOK()
	_, before := d.Raw.Lookup("not_after").DateTimeOK()
	_, err := d.Raw.LookupErr("optime")
	if !after || !before || err == nil || !strings.HasPrefix(d.ID, source+":snapshot:") || d.Source != "snapshot" {
		s.Errorf("not the document of an inferred change: %s", d.Raw)
	}
}

func timestamp(v bson.RawValue) bson.Timestamp {
	t, i, _ := v.TimestampOK()
	return bson.Timestamp{T: t, I: i}
}

// foldsToServer folds all notifications, in the order of what they tell, and compares with what the server lists. A notification that
// changes nothing tells what did not happen.
func foldsToServer(s *scene, told []ledger.Document) {
	s.Helper()
	told = slices.Clone(told)
	slices.SortFunc(told, func(a, b ledger.Document) int { return cmp.Compare(narrated(a), narrated(b)) })
	folded := ddlgen.Schema{}
	for _, d := range told {
		if d.Effect.Operation == "HISTORY_GAP" || strings.HasPrefix(d.Effect.NS, database+".") || d.Effect.NS == database {
			continue
		}
		before := text(folded)
		for _, wrong := range folded.Apply(s, d.Raw) {
			s.Error(wrong)
		}
		if !d.FromOplog() && before == text(folded) {
			s.Errorf("%s tells nothing new: %s", d.ID, d.Effect)
		}
	}
	names, err := s.client.ListDatabaseNames(s.Context(), notOfTheServer())
	s.must(err)
	ddlgen.Compare(s, "folded from the notifications", folded, ddlgen.Listed(s.Context(), s, s.client, names))
}

// narrated sorts a gap before what was inferred at its end, and that before the entry that stands there.
func narrated(d ledger.Document) string {
	parts := strings.Split(strings.TrimPrefix(d.ID, source+":"), ":")
	switch parts[0] {
	case "gap":
		return parts[1] + parts[2] + "0"
	case "snapshot":
		return parts[1] + parts[2] + "1" + parts[3]
	}
	return parts[0] + parts[1] + "2" + parts[2]
}

func text(s ddlgen.Schema) string {
	var lines []string
	for ns, d := range s {
		lines = append(lines, fmt.Sprintf("%q %+v", ns, *d))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
