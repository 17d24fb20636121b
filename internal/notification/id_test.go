package notification_test

import (
	"errors"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
)

func TestID(t *testing.T) {
	for _, c := range []struct {
		id          notification.ID
		full, short string
	}{
		{notification.ID{Source: "rs0", TS: bson.Timestamp{T: 1700000000, I: 7}, Ordinal: 2}, "rs0:1700000000:0000000007:000002", "1700000000:7:2"},
		{notification.ID{Source: "rs0", TS: bson.Timestamp{T: 1700000000, I: 7}}, "rs0:1700000000:0000000007:000000", "1700000000:7"},
		{notification.ID{Source: "a.b-c", Kind: notification.IDGap, TS: bson.Timestamp{T: 1, I: 2}}, "a.b-c:gap:0000000001:0000000002", "gap:1:2"},
		{notification.ID{Source: "rs0", Kind: notification.IDSnapshot, TS: bson.Timestamp{T: 1, I: 2}}, "rs0:snapshot:0000000001:0000000002:000000", "snapshot:1:2:0"},
		{notification.ID{Source: "gap", TS: bson.Timestamp{T: 1, I: 0}}, "gap:0000000001:0000000000:000000", "1:0"},
	} {
		if got := c.id.String(); got != c.full {
			t.Errorf("got %s, want %s", got, c.full)
		}
		if got := c.id.Short(false); got != c.short {
			t.Errorf("%s: short %s, want %s", c.full, got, c.short)
		}
		for _, text := range []string{c.full, c.id.Short(true)} {
			// A source named gap is read as the kind where the form is short of a part.
			if got, err := notification.ParseID(text); c.id.Source != "gap" && (err != nil || got != c.id) {
				t.Errorf("%s is read as %+v, %v", text, got, err)
			}
		}
	}
}

func TestParseIDRefuses(t *testing.T) {
	for _, text := range []string{"", "rs0", "init", "6740f0c2a1b2c3d4e5f60718", "rs0:1", "rs0:99999999999:1", "4294967296:1", "gap:1:2:3", "a:b:1:2", "1:2:x"} {
		if got, err := notification.ParseID(text); !errors.Is(err, notification.ErrNotID) {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
}

// TestIDOrder checks the ranges against the order in which MongoDB sorts strings.
func TestIDOrder(t *testing.T) {
	at := func(i uint32) bson.Timestamp { return bson.Timestamp{T: 9, I: i} }
	ids := []string{
		notification.ID{Source: "rs0", TS: at(1)}.String(),
		notification.ID{Source: "rs", TS: at(1)}.String(),
		notification.ID{Source: "rs", TS: at(1), Ordinal: 10}.String(),
		notification.ID{Source: "rs", TS: at(2)}.String(),
		notification.ID{Source: "rs", TS: at(10)}.String(),
		notification.ID{Source: "rs", Kind: notification.IDGap, TS: at(1)}.String(),
		notification.ID{Source: "rs", Kind: notification.IDSnapshot, TS: at(1)}.String(),
	}
	if !slices.IsSorted(ids) {
		t.Error("the _ids do not sort in oplog order")
	}
	for _, c := range []struct {
		name        string
		in          notification.IDRange
		first, last int
	}{
		{"all", notification.AllIDs("rs"), 1, 6},
		{"changes", notification.IDsOfKind("rs", notification.IDOplog), 1, 4},
		{"behind a timestamp", notification.IDsOfKind("rs", notification.IDOplog).After(at(1)), 3, 4},
		{"gaps", notification.IDsOfKind("rs", notification.IDGap), 5, 5},
		{"inferred", notification.IDsOfKind("rs", notification.IDSnapshot), 6, 6},
	} {
		for i, id := range ids {
			if got, want := c.in.From < id && id < c.in.To, i >= c.first && i <= c.last; got != want {
				t.Errorf("%s: %s is in the range: %t", c.name, id, got)
			}
		}
	}
}
