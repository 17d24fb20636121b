package listener

import (
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
)

// recordOf is a notification of one change: an _id that begins with a letter is manual, with a digit from the oplog.
func recordOf(t *testing.T, id string, at float64) record {
	t.Helper()
	doc := bson.M{"_id": id, "operation": "CREATE_COLLECTION", "collection": "c", "timestamp": at, "processed": false}
	if id[0] <= '9' {
		doc["_id"] = notification.ID{Source: "rs0", TS: bson.Timestamp{T: uint32(at), I: uint32(id[0])}}.String()
		doc["source"], doc["database"] = "oplog", "banking_db"
	}
	return parseRecord(raw(t, doc))
}

func with(n record, change func(*record)) record {
	change(&n)
	return n
}

func done(n *record) { n.processed, n.pending = true, false }

func tried(n *record) { n.attempts = 2 }

func of(id bson.RawValue) func(*record) {
	return func(n *record) {
		done(n)
		n.duplicateOf = id
	}
}

func claimedNow(n *record) {
	n.claimedBy, n.now, n.free = "other", time.Unix(100, 0), time.Unix(110, 0)
}

func TestDecide(t *testing.T) {
	hand, tail := recordOf(t, "h", 100), recordOf(t, "1", 101.5)
	late, twin := recordOf(t, "2", 104), recordOf(t, "i", 101)
	for _, c := range []struct {
		name       string
		n          record
		candidates []record
		want       decision
		of         record
	}{
		{"alone", hand, nil, deliver, record{}},
		{"only itself", hand, []record{hand}, deliver, record{}},
		{"first of two", hand, []record{tail}, deliver, record{}},
		{"second of two", tail, []record{hand}, waitForCounterpart, record{}},
		{"the first is done", tail, []record{with(hand, done)}, skip, hand},
		{"the second was faster", hand, []record{with(tail, done)}, skip, tail},
		{"the second is at it", hand, []record{with(tail, claimedNow)}, waitForCounterpart, record{}},
		{"the second has been tried", hand, []record{with(tail, tried)}, skip, tail},
		{"the second has been tried, and comes again", with(tail, tried), []record{hand}, deliver, record{}},
		{"the second has been tried, the first is done", with(tail, tried), []record{with(hand, done)}, skip, hand},
		{"both have been tried", with(tail, tried), []record{with(hand, tried)}, waitForCounterpart, record{}},
		{"the first was malformed", tail, []record{with(hand, func(n *record) { done(n); n.neverSent = true })}, deliver, record{}},
		{"the first is in no state", tail, []record{with(hand, func(n *record) { n.pending = false })}, deliver, record{}},
		{"both by hand", twin, []record{with(hand, done)}, deliver, record{}},
		{"both from the oplog", late, []record{with(tail, done)}, deliver, record{}},
		{"the other has a partner", late, []record{with(hand, done), with(tail, of(hand.id))}, deliver, record{}},
		{"the other is a duplicate", twin, []record{with(hand, done), with(tail, of(hand.id))}, deliver, record{}},
		{"one is left", twin, []record{with(hand, done), with(tail, of(hand.id)), with(late, done)}, skip, late},
		{"one done, one not", late, []record{hand, with(twin, done)}, skip, twin},
		{"of a snapshot", with(tail, func(n *record) { n.origin = fromSnapshot }), []record{with(hand, done)}, deliver, record{}},
	} {
		got, counterpart := decide(c.n, c.candidates, "banking_db")
		if got != c.want || got == skip && !counterpart.id.Equal(c.of.id) {
			t.Errorf("%s: got %d, %v", c.name, got, counterpart.id)
		}
	}
}

func TestSameChange(t *testing.T) {
	hand, tail := recordOf(t, "h", 100), recordOf(t, "1", 100)
	for _, c := range []struct {
		name   string
		change func(*record)
		queue  string
		want   bool
	}{
		{"same", func(*record) {}, "banking_db", true},
		{"names the database", func(n *record) { n.database = "banking_db" }, "ddltail", true},
		{"names another database", func(n *record) { n.database = "shop" }, "ddltail", false},
		{"names another than the queue's", func(n *record) { n.database = "shop" }, "banking_db", false},
		{"queue elsewhere", func(*record) {}, "shop", false},
		{"queue anywhere", func(*record) {}, "ddltail", true},
		{"10 s", func(n *record) { n.seconds += 10 }, "banking_db", true},
		{"10 s before", func(n *record) { n.seconds -= 10 }, "banking_db", true},
		{"11 s", func(n *record) { n.seconds += 11 }, "banking_db", false},
		{"no timestamp", func(n *record) { n.timed = false }, "banking_db", false},
		{"other operation", func(n *record) { n.operation = "DROP_COLLECTION" }, "banking_db", false},
		{"other collection", func(n *record) { n.collection = "d" }, "banking_db", false},
		{"other index", func(n *record) { n.index = "i" }, "banking_db", false},
	} {
		changed := with(hand, c.change)
		if sameChange(changed, tail, c.queue) != c.want || sameChange(tail, changed, c.queue) != c.want {
			t.Errorf("%s: not %v", c.name, c.want)
		}
	}
}
