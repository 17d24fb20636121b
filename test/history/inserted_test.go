package history

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/mongotest"
)

// archive is a database with a history that the test inserted: every field is known,
// including gaps.
type archive struct {
	*testing.T
	db        *mongo.Database
	variables []string
}

func newArchive(t *testing.T) archive {
	t.Helper()
	db := mongotest.Connect(t, set.URI()).Database("archive_" + strings.ToLower(t.Name()))
	return archive{t, db, []string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=" + db.Name()}}
}

func (a archive) insert(collection string, docs ...any) {
	a.Helper()
	if _, err := a.db.Collection(collection).InsertMany(a.Context(), docs); err != nil {
		a.Fatal(err)
	}
}

func (a archive) ask(args ...string) string {
	a.Helper()
	return command{append([]string{"history"}, args...), a.variables}.ok(a.T)
}

// base is the second to which the times of an archive are relative.
const base = 1_780_000_000

// at returns the time some seconds after base.
func at(seconds float64) time.Time { return time.UnixMilli(base*1000 + int64(seconds*1000)).UTC() }

func rfc(seconds float64) string { return at(seconds).Format(time.RFC3339Nano) }

func stamp(seconds int) string { return at(float64(seconds)).Format("2006-01-02 15:04:05") }

// published returns a change from the oplog.
func published(source string, seconds int, operation, database, collection string, more ...bson.E) bson.D {
	wall := at(float64(seconds))
	ns := strings.TrimSuffix(database+"."+collection, ".")
	doc := bson.D{
		{Key: "_id", Value: fmt.Sprintf("%s:%010d:%010d:%06d", source, base+seconds, 1, 0)},
		{Key: "operation", Value: operation},
		{Key: "operation_statement", Value: strings.ReplaceAll(operation, "_", " ") + " " + collection},
		{Key: "timestamp", Value: float64(wall.UnixMilli()) / 1000},
		{Key: "database", Value: database}, {Key: "ns", Value: ns},
		{Key: "optime", Value: bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(base + seconds), I: 1}}, {Key: "t", Value: int64(1)}}},
		{Key: "wall", Value: wall}, {Key: "detected_at", Value: wall},
		{Key: "replica_set", Value: source}, {Key: "source", Value: "oplog"},
	}
	if collection != "" {
		doc = append(doc, bson.E{Key: "collection", Value: collection})
	}
	return append(doc, more...)
}

// gap returns a HISTORY_GAP.
func gap(source string, from, to int) bson.D {
	end := func(seconds int) bson.D {
		return bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(base + seconds), I: 5}}, {Key: "t", Value: int64(1)}, {Key: "wall", Value: at(float64(seconds))}}
	}
	return bson.D{
		{Key: "_id", Value: fmt.Sprintf("%s:gap:%010d:%010d", source, base+to, 5)},
		{Key: "operation", Value: "HISTORY_GAP"}, {Key: "operation_statement", Value: "HISTORY GAP"},
		{Key: "timestamp", Value: float64(base + to)},
		{Key: "from", Value: end(from)}, {Key: "to", Value: end(to)},
		{Key: "wall", Value: at(float64(to))}, {Key: "detected_at", Value: at(float64(to))},
		{Key: "replica_set", Value: source}, {Key: "source", Value: "snapshot"},
	}
}

// inferred returns a change found by a comparison after a gap.
func inferred(source string, from, to, n int, operation, database, collection string) bson.D {
	return bson.D{
		{Key: "_id", Value: fmt.Sprintf("%s:snapshot:%010d:%010d:%06d", source, base+to, 5, n)},
		{Key: "operation", Value: operation},
		{Key: "collection", Value: collection},
		{Key: "operation_statement", Value: strings.ReplaceAll(operation, "_", " ") + " " + collection},
		{Key: "timestamp", Value: float64(base + to)},
		{Key: "database", Value: database}, {Key: "ns", Value: database + "." + collection},
		{Key: "not_before", Value: at(float64(from))}, {Key: "not_after", Value: at(float64(to))},
		{Key: "wall", Value: at(float64(to))}, {Key: "detected_at", Value: at(float64(to))},
		{Key: "replica_set", Value: source}, {Key: "source", Value: "snapshot"},
	}
}

// version returns a version of the catalog; without options, that of a dropped namespace.
func version(source string, seconds, increment int, ns string, options bson.D) bson.D {
	db, coll, _ := strings.Cut(ns, ".")
	doc := bson.D{
		{Key: "_id", Value: fmt.Sprintf("%s:%010d:%010d:%s", source, base+seconds, increment, ns)},
		{Key: "source", Value: source}, {Key: "ns", Value: ns}, {Key: "database", Value: db}, {Key: "collection", Value: coll},
		{Key: "optime", Value: bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(base + seconds), I: uint32(increment)}}, {Key: "t", Value: int64(1)}}},
		{Key: "wall", Value: at(float64(seconds))}, {Key: "temp", Value: false},
	}
	if options == nil {
		return append(doc, bson.E{Key: "definition", Value: nil})
	}
	return append(doc, bson.E{Key: "kind", Value: "collection"},
		bson.E{Key: "definition", Value: bson.D{{Key: "options", Value: options}, {Key: "indexes", Value: bson.A{}}}})
}

// checkpoint returns a source's checkpoint with the seconds of its baseline and its
// position.
func checkpoint(source string, baseline, position int) bson.D {
	optime := func(seconds int) bson.D {
		return bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(base + seconds), I: 9}}, {Key: "t", Value: int64(1)}}
	}
	return bson.D{
		{Key: "_id", Value: source + ":default"}, {Key: "source", Value: source}, {Key: "name", Value: "default"},
		{Key: "baseline", Value: optime(baseline)}, {Key: "optime", Value: optime(position)}, {Key: "saved_at", Value: at(float64(position))},
	}
}

func contains(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing in:\n%s", w, text)
		}
	}
}

func containsNot(t *testing.T, text string, unwanted ...string) {
	t.Helper()
	for _, u := range unwanted {
		if strings.Contains(text, u) {
			t.Errorf("unexpected %q in:\n%s", u, text)
		}
	}
}
