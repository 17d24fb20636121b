package listener

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func raw(t *testing.T, doc any) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestState(t *testing.T) {
	for _, c := range []struct {
		doc                bson.M
		processed, pending bool
	}{
		{bson.M{}, false, true},
		{bson.M{"processed": nil}, false, true},
		{bson.M{"processed": false}, false, true},
		{bson.M{"processed": true}, true, false},
		{bson.M{"processed": 1}, false, false},
		{bson.M{"processed": "false"}, false, false},
	} {
		n := parseRecord(raw(t, c.doc))
		if n.processed != c.processed || n.pending != c.pending {
			t.Errorf("%v: processed %v, pending %v", c.doc, n.processed, n.pending)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, c := range []struct {
		doc  bson.M
		want string
	}{
		{bson.M{"operation": "CREATE_COLLECTION", "collection": "c"}, ""},
		{bson.M{"operation": "CREATE_INDEX", "collection": "c", "index_name": nil}, ""},
		{bson.M{"operation": "DROP_DATABASE", "database": "d"}, ""},
		{bson.M{"operation": "HISTORY_GAP"}, ""},
		{bson.M{"operation": "OUR_OWN_WORD"}, ""},
		{bson.M{"operation": 5}, "operation is not a string or is empty"},
		{bson.M{"operation": nil}, "operation is not a string or is empty"},
		{bson.M{"operation": ""}, "operation is not a string or is empty"},
		{bson.M{"operation": "CREATE_COLLECTION"}, "CREATE_COLLECTION without a collection"},
		{bson.M{"operation": "CREATE_COLLECTION", "collection": ""}, "CREATE_COLLECTION without a collection"},
		{bson.M{"operation": "CREATE_COLLECTION", "collection": bson.A{"c"}}, "collection is not a string"},
		{bson.M{"operation": "X", "database": 1}, "database is not a string"},
		{bson.M{"operation": "X", "index_name": 1}, "index_name is not a string"},
		{bson.M{"operation": "X", "operation_statement": bson.M{}}, "operation_statement is not a string"},
	} {
		if got := malformed(raw(t, c.doc)); got != c.want {
			t.Errorf("%v: %q, want %q", c.doc, got, c.want)
		}
	}
}

func TestPartitionsOf(t *testing.T) {
	for _, c := range []struct {
		n     record
		queue string
		want  string
	}{
		{record{database: "shop", collection: "c"}, "banking_db", "[shop.c]"},
		{record{collection: "c"}, "banking_db", "[banking_db.c]"},
		{record{database: "shop", collection: "c"}, "ddltail", "[shop.c]"},
		{record{collection: "c"}, "ddltail", "[.c]"},
		{record{operation: "RENAME_COLLECTION", database: "shop", collection: "c", to: "shop.d"}, "ddltail", "[shop.c shop.d]"},
		{record{operation: "RENAME_COLLECTION", database: "shop", collection: "c.d", to: "other.e.f"}, "ddltail", "[shop.c.d other.e.f]"},
		{record{operation: "RENAME_COLLECTION", database: "shop", collection: "c", to: "shop.c"}, "ddltail", "[shop.c]"},
		{record{operation: "RENAME_COLLECTION", database: "shop", collection: "c", to: "no namespace"}, "ddltail", "[shop.c]"},
		{record{operation: "DROP_DATABASE", database: "shop"}, "ddltail", "[shop.*]"},
		{record{operation: "DROP_DATABASE"}, "banking_db", "[banking_db.*]"},
		{record{operation: "HISTORY_GAP"}, "banking_db", "[HISTORY_GAP]"},
		{record{operation: "UNKNOWN_COMMAND", database: "shop"}, "banking_db", "[shop.]"},
	} {
		if got := fmt.Sprint(partitionsOf(c.n, c.queue)); got != c.want {
			t.Errorf("%+v in %s: got %s", c.n, c.queue, got)
		}
	}
}

// TestBody checks that all of a document is sent but what the listener wrote into it.
func TestBody(t *testing.T) {
	m, err := newNotification(raw(t, bson.D{
		{Key: "_id", Value: "rs0:1"}, {Key: "operation", Value: "DROP_COLLECTION"}, {Key: "timestamp", Value: 12.5},
		{Key: "processed", Value: false}, {Key: "mine", Value: bson.D{{Key: "claim", Value: int32(1)}}},
		{Key: "claim", Value: bson.D{{Key: "by", Value: "x"}}}, {Key: "attempts", Value: int32(2)}, {Key: "last_error", Value: "x"},
		{Key: "deliveries", Value: bson.D{}}, {Key: "redelivered_at", Value: bson.DateTime(0)},
		{Key: "error", Value: "x"}, {Key: "duplicate_of", Value: "x"}, {Key: "processed_at", Value: bson.DateTime(0)},
	}))
	const want = `{"_id":"rs0:1","operation":"DROP_COLLECTION","timestamp":12.5,"processed":false,"mine":{"claim":1}}`
	if err != nil {
		t.Fatal(err)
	}
	if body, err := m.JSON(); err != nil || string(body) != want {
		t.Errorf("got %s, %v", body, err)
	}
}

func TestMessageID(t *testing.T) {
	seen := map[string]any{}
	for _, id := range []any{"rs0:1", "rs0:2", bson.ObjectID{1}, int32(5), bson.D{{Key: "a", Value: 1}}, nil} {
		got, err := messageID(raw(t, bson.D{{Key: "_id", Value: id}}).Lookup("_id"))
		if err != nil || len(got) != 64 || strings.Trim(got, "0123456789abcdef") != "" {
			t.Errorf("%v: %q, %v", id, got, err)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%v and %v have one id", id, other)
		}
		seen[got] = id
	}
	// The output of sha256sum.
	got, _ := messageID(raw(t, bson.M{"_id": "abc"}).Lookup("_id"))
	if got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("got %s", got)
	}
}

func TestRetryWait(t *testing.T) {
	for _, c := range []struct {
		attempts       int64
		failing, asked time.Duration
		want           time.Duration // without chance
	}{
		{1, 0, 0, 250 * time.Millisecond},
		{2, 0, 0, 500 * time.Millisecond},
		{5, 0, 0, 4 * time.Second},
		{6, 0, 0, 5 * time.Second},
		{500, 9 * time.Minute, 0, 5 * time.Second},
		{500, 10 * time.Minute, 0, time.Minute},
		{1 << 40, time.Hour, 0, time.Minute},
		{-3, 0, 0, 250 * time.Millisecond},
	} {
		for range 100 {
			got := retryWait(c.attempts, c.failing, c.asked)
			if got > c.want || got < c.want*4/5 {
				t.Fatalf("%+v: %s", c, got)
			}
		}
	}
	if got := retryWait(1, 0, 30*time.Second); got != 30*time.Second {
		t.Errorf("asked for 30 s, waits %s", got)
	}
}

// TestWrittenAt: the age of a notification counts from when it was written, not from the time of an older change that it reports.
func TestWrittenAt(t *testing.T) {
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	date := func(second int64) bson.DateTime { return bson.NewDateTimeFromTime(at(second)) }
	hex := bson.NewObjectIDFromTimestamp(at(500))
	for name, c := range map[string]struct {
		doc  bson.D
		want time.Time
	}{
		"redelivered":                     {bson.D{{Key: "_id", Value: hex}, {Key: "redelivered_at", Value: date(900)}, {Key: "detected_at", Value: date(700)}}, at(900)},
		"by ddltail":                      {bson.D{{Key: "_id", Value: "rs0:1"}, {Key: "detected_at", Value: date(700)}, {Key: "timestamp", Value: 600.0}}, at(700)},
		"by hand, of an old change":       {bson.D{{Key: "_id", Value: hex}, {Key: "timestamp", Value: 100.0}}, at(500)},
		"by hand, in milliseconds":        {bson.D{{Key: "_id", Value: hex}, {Key: "timestamp", Value: 500_000_000_000_000.0}}, at(500)},
		"by hand, with its own _id":       {bson.D{{Key: "_id", Value: "mine"}, {Key: "timestamp", Value: 400.0}}, at(400)},
		"its own _id, and no time at all": {bson.D{{Key: "_id", Value: "mine"}, {Key: "timestamp", Value: 4e14}}, time.Time{}},
	} {
		raw, err := bson.Marshal(c.doc)
		if err != nil {
			t.Fatal(err)
		}
		if got := writtenAt(raw); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
