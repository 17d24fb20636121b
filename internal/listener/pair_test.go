package listener

import (
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// pairNotice is a notification of one change: a letter is a hand, a digit the oplog.
func pairNotice(t *testing.T, id string, at float64) notice {
	t.Helper()
	doc := bson.M{"_id": id, "operation": "CREATE_COLLECTION", "collection": "c", "timestamp": at, "processed": false}
	if id[0] <= '9' {
		doc["source"], doc["database"] = "oplog", "banking_db"
		doc["optime"] = bson.M{"ts": bson.Timestamp{T: uint32(at), I: 1}}
	}
	return parseNotice(raw(t, doc))
}

func with(n notice, change func(*notice)) notice {
	change(&n)
	return n
}

func done(n *notice) { n.processed, n.pending = true, false }

func of(id bson.RawValue) func(*notice) {
	return func(n *notice) {
		done(n)
		n.duplicateOf = id
	}
}

func claimedNow(n *notice) {
	n.claimedBy, n.now, n.free = "other", time.Unix(100, 0), time.Unix(110, 0)
}

func TestDecide(t *testing.T) {
	hand, tail := pairNotice(t, "h", 100), pairNotice(t, "1", 100.5)
	late, twin := pairNotice(t, "2", 104), pairNotice(t, "i", 101)
	for _, c := range []struct {
		name    string
		n       notice
		related []notice
		want    decision
		of      notice
	}{
		{"alone", hand, nil, deliver, notice{}},
		{"only itself", hand, []notice{hand}, deliver, notice{}},
		{"first of two", hand, []notice{tail}, deliver, notice{}},
		{"second of two", tail, []notice{hand}, waitForPartner, notice{}},
		{"the first is done", tail, []notice{with(hand, done)}, skip, hand},
		{"the second was faster", hand, []notice{with(tail, done)}, skip, tail},
		{"the second is at it", hand, []notice{with(tail, claimedNow)}, waitForPartner, notice{}},
		{"the second has been tried", hand, []notice{with(tail, func(n *notice) { n.attempts = 2 })}, waitForPartner, notice{}},
		{"the first was malformed", tail, []notice{with(hand, func(n *notice) { done(n); n.refused = true })}, deliver, notice{}},
		{"the first is in no state", tail, []notice{with(hand, func(n *notice) { n.pending = false })}, deliver, notice{}},
		{"both by hand", twin, []notice{with(hand, done)}, deliver, notice{}},
		{"both from the oplog", late, []notice{with(tail, done)}, deliver, notice{}},
		{"the other has a partner", late, []notice{with(hand, done), with(tail, of(hand.id))}, deliver, notice{}},
		{"the other is a duplicate", twin, []notice{with(hand, done), with(tail, of(hand.id))}, deliver, notice{}},
		{"one is left", twin, []notice{with(hand, done), with(tail, of(hand.id)), with(late, done)}, skip, late},
		{"one done, one not", late, []notice{hand, with(twin, done)}, skip, twin},
		{"of a snapshot", with(tail, func(n *notice) { n.origin = fromSnapshot }), []notice{with(hand, done)}, deliver, notice{}},
	} {
		got, partner := decide(c.n, c.related, "banking_db")
		if got != c.want || got == skip && !partner.id.Equal(c.of.id) {
			t.Errorf("%s: got %d, %v", c.name, got, partner.id)
		}
	}
}

func TestPairs(t *testing.T) {
	hand, tail := pairNotice(t, "h", 100), pairNotice(t, "1", 100)
	for _, c := range []struct {
		name   string
		change func(*notice)
		queue  string
		want   bool
	}{
		{"same", func(*notice) {}, "banking_db", true},
		{"names the database", func(n *notice) { n.database = "banking_db" }, "ddltail", true},
		{"names another database", func(n *notice) { n.database = "shop" }, "ddltail", false},
		{"names another than the queue's", func(n *notice) { n.database = "shop" }, "banking_db", false},
		{"queue elsewhere", func(*notice) {}, "shop", false},
		{"queue anywhere", func(*notice) {}, "ddltail", true},
		{"10 s", func(n *notice) { n.seconds += 10 }, "banking_db", true},
		{"10 s before", func(n *notice) { n.seconds -= 10 }, "banking_db", true},
		{"11 s", func(n *notice) { n.seconds += 11 }, "banking_db", false},
		{"no timestamp", func(n *notice) { n.timed = false }, "banking_db", false},
		{"other operation", func(n *notice) { n.operation = "DROP_COLLECTION" }, "banking_db", false},
		{"other collection", func(n *notice) { n.collection = "d" }, "banking_db", false},
		{"other index", func(n *notice) { n.index = "i" }, "banking_db", false},
	} {
		changed := with(hand, c.change)
		if pairs(changed, tail, c.queue) != c.want || pairs(tail, changed, c.queue) != c.want {
			t.Errorf("%s: not %v", c.name, c.want)
		}
	}
}
