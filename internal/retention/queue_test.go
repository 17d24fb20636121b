package retention_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/goleak"

	"github.com/ddltail/ddltail/internal/retention"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/test/mongotest"
)

var set *mongotest.ReplicaSet

func TestMain(m *testing.M) { goleak.VerifyTestMain(mongotest.Main{Tests: m, Set: &set}) }

// The checkpoint of the source rs0 is at second 1000, increment 5.
const (
	old   = 500  // seconds
	at    = 1000 // seconds
	young = -1   // means a minute ago
)

func seconds(t int) float64 {
	if t == young {
		return float64(time.Now().Unix() - 60)
	}
	return float64(t)
}

func daysAgo(n int) bson.DateTime { return bson.NewDateTimeFromTime(time.Now().AddDate(0, 0, -n)) }

// document is an old, processed notification by hand, with some changes; nil removes a
// field.
func document(id any, changes bson.M) bson.M {
	doc := bson.M{"_id": id, "operation": "CREATE_COLLECTION", "collection": "c", "timestamp": seconds(old), "processed": true}
	for k, v := range changes {
		doc[k] = v
		if v == nil {
			delete(doc, k)
		}
	}
	return doc
}

func fromOplog(source string, t, i uint32) bson.M {
	return document(fmt.Sprintf("%s:%010d:%010d:000000", source, t, i), bson.M{
		"source": "oplog", "optime": bson.M{"ts": bson.Timestamp{T: t, I: i}, "t": int64(1)},
	})
}

func snapshot(kind string, t, i uint32) bson.M {
	id := fmt.Sprintf("rs0:gap:%010d:%010d", t, i)
	if kind == "snapshot" {
		id = fmt.Sprintf("rs0:snapshot:%010d:%010d:000003", t, i)
	}
	return document(id, bson.M{"source": "snapshot"})
}

func cases() []struct {
	name string
	doc  bson.M
	goes bool
} {
	date := bson.NewDateTimeFromTime(time.Unix(old, 0))
	recent := bson.NewDateTimeFromTime(time.Now().Add(-time.Minute))
	return []struct {
		name string
		doc  bson.M
		goes bool
	}{
		{"by hand", document("a", nil), true},
		{"by ddltail notify", document("a2", bson.M{"source": "manual"}), true},
		{"with a date", document("b", bson.M{"timestamp": date}), true},
		{"with an integer", document("c", bson.M{"timestamp": int64(old)}), true},
		{"with processed_at", document("d", bson.M{"processed_at": date}), true},
		{"processed_at as a number", document("d2", bson.M{"processed_at": seconds(old)}), true},
		{"malformed", document("e", bson.M{"operation": 5, "error": "operation is not a string or is empty"}), true},
		{"with an error, marked 31 days ago", document("e2", bson.M{"error": "x", "processed_at": daysAgo(31)}), true},
		{"with an error, marked 29 days ago", document("e3", bson.M{"error": "x", "processed_at": daysAgo(29)}), false},
		{"with an error, 29 days old", document("e4", bson.M{"error": "x", "timestamp": daysAgo(29)}), false},
		{"marked 29 days ago without an error", document("e5", bson.M{"error": nil, "processed_at": daysAgo(29)}), true},
		{"unprocessed", document("f", bson.M{"processed": false}), false},
		{"never marked", document("g", bson.M{"processed": nil}), false},
		{"young", document("h", bson.M{"timestamp": seconds(young)}), false},
		{"young by its date", document("i", bson.M{"timestamp": recent}), false},
		{"processed a while ago", document("j", bson.M{"processed_at": recent}), false},
		{"processed a while ago, as a number", document("j2", bson.M{"processed_at": seconds(young)}), false},
		{"without a timestamp", document("k", bson.M{"timestamp": nil}), false},
		{"with a text", document("l", bson.M{"timestamp": "yesterday"}), false},
		{"the init document", bson.M{"_id": "init", "type": "init", "timestamp": date}, false},
		{"below the checkpoint", fromOplog("rs0", at-1, 9), true},
		{"at the checkpoint", fromOplog("rs0", at, 5), true},
		{"above it", fromOplog("rs0", at, 6), false},
		{"a second above", fromOplog("rs0", at+1, 0), false},
		{"of a source whose checkpoint fills no queue", fromOplog("rs1", at-1, 1), false},
		{"of a source without checkpoint", fromOplog("rs2", at-1, 1), false},
		{"of a source that begins alike", fromOplog("rs", at-1, 1), false},
		{"from the first run's first entry", fromOplog("rs3", at, 5), false},
		{"before the first run's first entry", fromOplog("rs3", at, 4), true},
		{"an optime under another _id", document("m", bson.M{"optime": bson.M{"ts": bson.Timestamp{T: 1}}}), false},
		{"inferred below", snapshot("snapshot", at, 4), true},
		{"inferred at", snapshot("snapshot", at, 5), true},
		{"inferred above", snapshot("snapshot", at, 6), false},
		{"gap below", snapshot("gap", at-5, 7), true},
		{"gap at", snapshot("gap", at, 5), true},
		{"gap above", snapshot("gap", at+1, 1), false},
		{"inferred, still to be settled", document(fmt.Sprintf("rs4:snapshot:%010d:%010d:000000", at, 4), bson.M{"source": "snapshot"}), false},
		{"inferred, settled before", document(fmt.Sprintf("rs4:snapshot:%010d:%010d:000000", at, 3), bson.M{"source": "snapshot"}), true},
	}
}

func fill(t *testing.T) (*mongo.Collection, []any) {
	t.Helper()
	db := mongotest.Connect(t, set.URI()).Database(t.Name())
	checkpoint := func(source, name string, more bson.M) bson.M {
		doc := bson.M{"_id": source + ":" + name, "source": source, "name": name, "optime": bson.M{"ts": bson.Timestamp{T: at, I: 5}, "t": int64(1)}}
		for k, v := range more {
			doc[k] = v
		}
		return doc
	}
	_, err := db.Collection(store.Checkpoints).InsertMany(t.Context(), []bson.M{
		checkpoint("rs0", "default", bson.M{"queue": true}),
		checkpoint("rs0", "other", bson.M{"optime": bson.M{"ts": bson.Timestamp{T: 9999, I: 1}, "t": int64(1)}}),
		checkpoint("rs1", "default", nil),
		checkpoint("rs3", "default", bson.M{"queue": true, "inclusive": true}),
		checkpoint("rs4", "default", bson.M{"queue": true, "comparison": bson.M{"to": bson.M{"ts": bson.Timestamp{T: at, I: 4}, "t": int64(1)}}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	coll := db.Collection(store.Notifications)
	var ids []any
	for _, c := range cases() {
		if _, err := coll.InsertOne(t.Context(), c.doc); err != nil {
			t.Fatal(err)
		}
		if c.goes {
			ids = append(ids, c.doc["_id"])
		}
	}
	return coll, ids
}

func TestRule(t *testing.T) {
	coll, going := fill(t)
	const day = 24 * time.Hour
	if n, err := retention.CountQueue(t.Context(), coll.Database(), day); err != nil || n != int64(len(going)) {
		t.Errorf("%d would go, %v, want %d", n, err, len(going))
	}
	n, err := retention.PruneQueue(t.Context(), coll.Database(), day)
	if err != nil || n != int64(len(going)) {
		t.Errorf("%d went, %v, want %d", n, err, len(going))
	}
	for _, c := range cases() {
		left, err := coll.CountDocuments(t.Context(), bson.M{"_id": c.doc["_id"]})
		if err != nil {
			t.Fatal(err)
		}
		if (left == 0) != c.goes || slices.Contains(going, c.doc["_id"]) != c.goes {
			t.Errorf("%s: %d left", c.name, left)
		}
	}
	if n, err := retention.PruneQueue(t.Context(), coll.Database(), day); err != nil || n != 0 {
		t.Errorf("again %d, %v", n, err)
	}
}

func TestNothingThere(t *testing.T) {
	db := mongotest.Connect(t, set.URI()).Database(t.Name())
	if n, err := retention.PruneQueue(t.Context(), db, time.Hour); err != nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
}
