package ledger

import (
	"errors"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func at(i uint32) OpTime { return OpTime{TS: bson.Timestamp{T: 7, I: i}, Term: 1} }

func someChanges() []Change {
	return []Change{
		{Effect: Effect{Operation: "CREATE_COLLECTION", NS: "d.a"}, OpTime: at(1)},
		{Effect: Effect{Operation: "CREATE_COLLECTION", NS: "d.b"}, OpTime: at(2)},
		{Effect: Effect{Operation: "CREATE_INDEX", NS: "d.b", Index: "i"}, OpTime: at(2), N: 1},
		{Effect: Effect{Operation: "DROP_COLLECTION", NS: "d.a"}, OpTime: at(3)},
	}
}

func documentsOf(changes []Change) []Document {
	var told []Document
	for _, c := range changes {
		told = append(told, Document{ID: c.ID("rs0"), Effect: c.Effect, OpTime: c.OpTime, Source: "oplog"})
	}
	return told
}

// TestCompareSees tries every way in which documents can be wrong: a count that cannot rise proves nothing.
func TestCompareSees(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func([]Document) []Document
		want  Counts
	}{
		{"all well", func(d []Document) []Document { return d }, Counts{Made: 4, Notified: 4}},
		{"one lost", func(d []Document) []Document { return slices.Delete(d, 1, 2) }, Counts{Made: 4, Notified: 3, Lost: 1}},
		{"one told again under another _id", func(d []Document) []Document {
			again := d[1]
			again.ID = "rs0:0000000007:0000000009:000000"
			return append(d, again)
		}, Counts{Made: 4, Notified: 5, Doubled: 1}},
		{"what did not happen", func(d []Document) []Document {
			d[3].Effect.NS = "d.c"
			return d
		}, Counts{Made: 4, Notified: 4, Lost: 1, Phantom: 1}},
		{"another term's", func(d []Document) []Document {
			d[3].OpTime.Term = 2
			return d
		}, Counts{Made: 4, Notified: 4, Lost: 1, Phantom: 1}},
		{"written in another order", func(d []Document) []Document {
			d[0], d[1] = d[1], d[0]
			return d
		}, Counts{Made: 4, Notified: 4, OutOfOrder: 1}},
		{"an _id that is not its place", func(d []Document) []Document {
			d[1].ID, d[2].ID = d[2].ID, d[1].ID
			return d
		}, Counts{Made: 4, Notified: 4, OutOfOrder: 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Compare(someChanges(), c.spoil(documentsOf(someChanges())), "rs0")
			if got.String() != c.want.String() {
				t.Errorf("got  %s\nwant %s\n%s", got, c.want, got.Explain())
			}
			if got.Sound() != (c.name == "all well") {
				t.Errorf("Sound is %t", got.Sound())
			}
		})
	}
}

func TestSettle(t *testing.T) {
	lost := errors.New("connection lost")
	made := someChanges()
	var l Ledger
	l.Acknowledged(made[0].Effect)
	l.Doubtful(lost, made[1].Effect, made[2].Effect)
	l.Doubtful(lost, Effect{Operation: "DROP_COLLECTION", NS: "d.b"})
	l.Acknowledged(Effect{Operation: "CREATE_VIEW", NS: "d.v"})
	s := l.Settle(made)
	if s.Statements != 4 || s.Doubtful != 3 || s.Happened != 2 {
		t.Errorf("got %s", s)
	}
	if len(s.Missing) != 1 || s.Missing[0].NS != "d.v" {
		t.Errorf("missing: %v", s.Missing)
	}
	if len(s.Unasked) != 1 || s.Unasked[0] != made[3].Effect {
		t.Errorf("unasked: %v", s.Unasked)
	}
}
