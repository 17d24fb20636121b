package oplog_test

import (
	"context"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/tools/txtar"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestFilter puts the entries of every golden case in a collection of a real server
// and asks for them as a Reader does. What the filter and the projection leave on the
// server must not change what is reported, and must not return a user's document.
func TestFilter(t *testing.T) {
	set := mongotest.NewReplicaSet(t, mongotest.Options{})
	db := mongotest.Connect(t, set.URI()).Database("entries")
	folders, err := filepath.Glob("../detector/testdata/*/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, folder := range folders {
		name := filepath.ToSlash(folder[len("../detector/testdata/"):])
		t.Run(name, func(t *testing.T) { checkFilter(t, db.Collection(name), entriesOf(t, folder)) })
	}
}

func entriesOf(t *testing.T, folder string) []bson.Raw {
	files, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var raws []bson.Raw
	for _, path := range files {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		raws = append(raws, oplog.ExtJSON(t, string(archive.Files[0].Data))...)
	}
	slices.SortFunc(raws, func(a, b bson.Raw) int { return timestamp(a).Compare(timestamp(b)) })
	return raws
}

func timestamp(raw bson.Raw) bson.Timestamp {
	t, i := raw.Lookup("ts").Timestamp()
	return bson.Timestamp{T: t, I: i}
}

func checkFilter(t *testing.T, coll *mongo.Collection, all []bson.Raw) {
	if _, err := coll.InsertMany(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	passed := ask(t, coll, oplog.Filter(bson.D{{Key: "$gte", Value: bson.Timestamp{}}}, true))
	whole, part := detected(t, all, all), detected(t, passed, ask(t, coll, bson.D{}))
	if len(whole) != len(part) {
		t.Errorf("%d changes of all entries, %d of those that pass", len(whole), len(part))
	}
	for i := range min(len(whole), len(part)) {
		if !reflect.DeepEqual(whole[i], part[i]) {
			t.Errorf("from all entries\n%+v\nfrom those that pass\n%+v", whole[i], part[i])
		}
	}
	for _, raw := range passed {
		checkPassed(t, raw)
	}
	plain := ask(t, coll, oplog.Filter(bson.D{{Key: "$gte", Value: bson.Timestamp{}}}, false))
	if slices.ContainsFunc(plain, func(raw bson.Raw) bool { return raw.Lookup("op").StringValue() == "n" }) {
		t.Error("a no-op comes from a set that is no shard")
	}
}

// ask returns what the server lets through, in oplog order.
func ask(t *testing.T, coll *mongo.Collection, where bson.D) []bson.Raw {
	cur, err := coll.Find(t.Context(), where, options.Find().SetProjection(oplog.Projection()).SetSort(bson.D{{Key: "ts", Value: 1}}))
	if err != nil {
		t.Fatal(err)
	}
	var out []bson.Raw
	for cur.Next(t.Context()) {
		out = append(out, slices.Clone(oplog.Unproject(cur.Current)))
	}
	if err := cur.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

type entries []bson.Raw

func (e entries) Fetch(_ context.Context, ts bson.Timestamp) (oplog.Entry, bool, error) {
	for _, raw := range e {
		if timestamp(raw) == ts {
			found, err := oplog.Decode(raw)
			return found, err == nil, err
		}
	}
	return oplog.Entry{}, false, nil
}

// detected returns the changes that entries bring. What an unknown command holds is left
// out: the whole entry is longer than the projected one.
func detected(t *testing.T, raws, from []bson.Raw) []notification.Change {
	d, known := detector.New(schema.Scope{}), &detector.State{}
	var changes []notification.Change
	for _, raw := range raws {
		e, err := oplog.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		unit, err := oplog.Assemble(t.Context(), e, entries(from))
		if err != nil {
			t.Fatal(err)
		}
		known.AdvanceTo(unit.OpTime.TS)
		result := d.Detect(unit, known)
		known.Apply(result)
		for _, c := range result.Changes {
			if c.Operation == notification.UnknownCommand {
				c.Command, c.Truncated = nil, nil
			}
			changes = append(changes, c)
		}
	}
	return changes
}

// checkPassed finds documents of users in what came.
func checkPassed(t *testing.T, raw bson.Raw) {
	e, err := oplog.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	operations, ok := e.Object.Lookup("applyOps").ArrayOK()
	if !ok {
		return
	}
	values, err := operations.Values()
	if err != nil {
		t.Fatal(err)
	}
	if prev := e.PrevOpTime.TS; len(values) == 0 && prev.IsZero() {
		t.Errorf("an applyOps without DDL comes, and is the end of nothing: %s", raw)
	}
	for _, v := range values {
		inner, ok := v.DocumentOK()
		if !ok {
			continue
		}
		op, _ := inner.Lookup("op").StringValueOK()
		ns, _ := inner.Lookup("ns").StringValueOK()
		if op != "c" && filepath.Ext(ns) != ".views" {
			t.Errorf("a document comes with %s: %s", e.OpTime, inner)
		}
	}
}
