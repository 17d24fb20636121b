package notification

import (
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
)

func moment(t, i uint32) oplog.Moment {
	return oplog.Moment{OpTime: oplog.OpTime{TS: bson.Timestamp{T: t, I: i}, Term: 3}, Wall: time.Unix(int64(t), 5e8).UTC()}
}

// TestGapAndInferred checks the documents without an oplog entry.
func TestGapAndInferred(t *testing.T) {
	between := Interval{From: moment(100, 7), To: moment(200, 9)}
	origin := Origin{Source: "payments-eu", ReplicaSet: "rs0"}
	detected := time.Unix(300, 0)
	gap := marshal(t, NewGap(between, origin, detected).Notification())
	want := `{"_id":"payments-eu:gap:0000000200:0000000009","operation":"HISTORY_GAP","operation_statement":"HISTORY GAP",` +
		`"timestamp":200.5,"processed":false,"risk":"unknown",` +
		`"from":{"ts":{"$timestamp":{"t":100,"i":7}},"t":3,"wall":{"$date":"1970-01-01T00:01:40.5Z"}},` +
		`"to":{"ts":{"$timestamp":{"t":200,"i":9}},"t":3,"wall":{"$date":"1970-01-01T00:03:20.5Z"}},` +
		`"wall":{"$date":"1970-01-01T00:03:20.5Z"},"detected_at":{"$date":"1970-01-01T00:05:00Z"},"replica_set":"rs0","source":"snapshot"}`
	if gap != want {
		t.Errorf("got\n%s\nwant\n%s", gap, want)
	}
	change := Change{Operation: DropView, Database: "shop", Collection: "recent", Statement: "x", Ordinal: 4}
	inferred := marshal(t, NewInferred(change, between, origin, detected).History())
	want = `{"_id":"payments-eu:snapshot:0000000200:0000000009:000004","operation":"DROP_VIEW","collection":"recent",` +
		`"operation_statement":"x","timestamp":200.5,"database":"shop","ns":"shop.recent","risk":"breaking",` +
		`"not_before":{"$date":"1970-01-01T00:01:40.5Z"},"not_after":{"$date":"1970-01-01T00:03:20.5Z"},` +
		`"wall":{"$date":"1970-01-01T00:03:20.5Z"},"detected_at":{"$date":"1970-01-01T00:05:00Z"},"replica_set":"rs0","source":"snapshot"}`
	if inferred != want {
		t.Errorf("got\n%s\nwant\n%s", inferred, want)
	}
}

func marshal(t *testing.T, doc bson.D) string {
	t.Helper()
	text, err := bson.MarshalExtJSON(doc, false, false)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCutToFit has a document lose its largest fields until it fits, and say which.
func TestCutToFit(t *testing.T) {
	large := func(n int) string { return strings.Repeat("é", n<<20/2) }
	doc := cutToFit(bson.D{
		{Key: "_id", Value: "a"}, {Key: "operation_statement", Value: large(7)}, {Key: "mongosh", Value: large(6)},
		{Key: "undo", Value: large(5)}, {Key: "after", Value: bson.Raw(large(2))}, {Key: "ns", Value: "shop.payments"},
	}, []string{"command"})
	got := map[string]any{}
	for _, el := range doc {
		got[el.Key] = el.Value
	}
	cut, _ := got["truncated"].([]string)
	if strings.Join(cut, " ") != "command operation_statement" {
		t.Errorf("cut were %q", cut)
	}
	statement, _ := got["operation_statement"].(string)
	if !strings.HasSuffix(statement, "é…") || len(statement) > keptText+len("…") {
		t.Errorf("the statement is cut to %d bytes", len(statement))
	}
	for _, field := range []string{"_id", "mongosh", "undo", "after", "ns"} {
		if got[field] == nil {
			t.Errorf("%s is gone, and it all would have fit", field)
		}
	}
	if small := cutToFit(bson.D{{Key: "_id", Value: "a"}}, nil); len(small) != 1 {
		t.Errorf("a small document became %v", small)
	}
}
