package listener

import (
	"slices"
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

// fromOplogAt is a notification from the oplog: its optime and its wall clock.
func fromOplogAt(t *testing.T, id string, optime uint32, i uint32, wall float64) record {
	t.Helper()
	return parseRecord(raw(t, bson.M{
		"_id": id, "operation": "CREATE_INDEX", "collection": "c", "source": "oplog", "timestamp": wall,
		"optime": bson.M{"ts": bson.Timestamp{T: optime, I: i}, "t": int64(1)},
	}))
}

func written(t *testing.T, id, timestamp any) record {
	t.Helper()
	return parseRecord(raw(t, bson.M{"_id": id, "operation": "CREATE_INDEX", "collection": "c", "timestamp": timestamp}))
}

// TestOrder lists notifications in the order in which they must be delivered,
// whatever types they are written with.
func TestOrder(t *testing.T) {
	tried := written(t, "tried", 500)
	tried.attempts = 1
	want := []record{
		tried,
		written(t, "a", "no timestamp at all"),
		written(t, bson.NewObjectIDFromTimestamp(time.Unix(50, 0)), nil),
		written(t, "int", int32(98)),
		written(t, "date", bson.NewDateTimeFromTime(time.UnixMilli(98_500))),
		written(t, "long", int64(99)),
		written(t, "double", 99.25),
		fromOplogAt(t, "x1", 100, 1, 100.1),
		fromOplogAt(t, "x2", 100, 2, 100.1),
		written(t, "hand", 100.2),
		fromOplogAt(t, "x3", 100, 3, 101.0),
		// A new primary's clock is behind.
		fromOplogAt(t, "x4", 102, 1, 98),
		fromOplogAt(t, "x5", 102, 2, 97),
		written(t, "b", 103),
		written(t, "c", 103),
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, record.compare)
	for i := range want {
		if !got[i].id.Equal(want[i].id) {
			t.Fatalf("%d: got %v, want %v", i, got[i].id, want[i].id)
		}
	}
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
		{bson.M{"operation": 5}, "operation is not a name"},
		{bson.M{"operation": nil}, "operation is not a name"},
		{bson.M{"operation": ""}, "operation is not a name"},
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

func TestPartitionOf(t *testing.T) {
	with := record{database: "shop", collection: "c"}
	without := record{collection: "c"}
	for _, c := range []struct {
		n     record
		queue string
		want  partition
	}{
		{with, "banking_db", partition{"shop", "c"}},
		{without, "banking_db", partition{"banking_db", "c"}},
		{with, "ddltail", partition{"shop", "c"}},
		{without, "ddltail", partition{"", "c"}},
	} {
		if got := partitionOf(c.n, c.queue); got != c.want {
			t.Errorf("%+v in %s: %v", c.n, c.queue, got)
		}
	}
}

// TestBody checks that all of a document is sent but what the listener wrote into it.
func TestBody(t *testing.T) {
	m, err := newMessage(raw(t, bson.D{
		{Key: "_id", Value: "rs0:1"}, {Key: "operation", Value: "DROP_COLLECTION"}, {Key: "timestamp", Value: 12.5},
		{Key: "processed", Value: false}, {Key: "mine", Value: bson.D{{Key: "claim", Value: int32(1)}}},
		{Key: "claim", Value: bson.D{{Key: "by", Value: "x"}}}, {Key: "attempts", Value: int32(2)}, {Key: "last_error", Value: "x"},
		{Key: "error", Value: "x"}, {Key: "duplicate_of", Value: "x"}, {Key: "processed_at", Value: bson.DateTime(0)},
	}))
	const want = `{"_id":"rs0:1","operation":"DROP_COLLECTION","timestamp":12.5,"processed":false,"mine":{"claim":1}}`
	if err != nil || string(m.Body) != want {
		t.Errorf("got %s, %v", m.Body, err)
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
