package mongosh_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/mongosh"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// A collection, an index "i" on it, a collMod; undone is false where nothing
// may take it back.
var modifyCases = map[string]struct {
	options, index, changes string
	undone                  bool
}{
	"validator":         {``, ``, `{"validator": {"b": 1, "0": {"$type": "int"}}}`, true},
	"other validator":   {`{"validator": {"a": {"$numberLong": "1"}}, "validationLevel": "moderate"}`, ``, `{"validator": {"c": 1}, "validationLevel": "off", "validationAction": "warn"}`, true},
	"no validator":      {`{"validator": {"a": 1}}`, ``, `{"validator": {}}`, true},
	"images":            {``, ``, `{"changeStreamPreAndPostImages": {"enabled": true}}`, true},
	"no images":         {`{"changeStreamPreAndPostImages": {"enabled": true}}`, ``, `{"changeStreamPreAndPostImages": {"enabled": false}}`, true},
	"hidden":            {``, `{}`, `{"index": {"name": "i", "hidden": true}}`, true},
	"shown":             {``, `{"hidden": true}`, `{"index": {"keyPattern": {"b": 1, "0": 1}, "hidden": false}}`, true},
	"longer expiry":     {``, `{"expireAfterSeconds": 60}`, `{"index": {"name": "i", "expireAfterSeconds": {"$numberLong": "120"}}}`, false},
	"shorter expiry":    {``, `{"expireAfterSeconds": 60}`, `{"index": {"name": "i", "expireAfterSeconds": 30.0}}`, true},
	"an expiry":         {``, `{}`, `{"index": {"name": "i", "expireAfterSeconds": 30}}`, false},
	"prepared":          {``, `{}`, `{"index": {"name": "i", "prepareUnique": true}}`, true},
	"unique":            {``, `{"prepareUnique": true}`, `{"index": {"name": "i", "unique": true}}`, false},
	"index and options": {``, `{}`, `{"index": {"name": "i", "hidden": true}, "validator": {"a": 1}}`, true},
	"larger":            {`{"capped": true, "size": 4096}`, ``, `{"cappedSize": 8192}`, false},
	"smaller":           {`{"capped": true, "size": 8192, "max": 9}`, ``, `{"cappedSize": 4096, "cappedMax": 5}`, true},
	"first limit":       {`{"capped": true, "size": 8192}`, ``, `{"cappedMax": 5}`, false},
	"no limit":          {`{"capped": true, "size": 8192, "max": 5}`, ``, `{"cappedMax": 0}`, false},
	"clustered":         {`{"clusteredIndex": {"key": {"_id": 1}, "unique": true}}`, ``, `{"expireAfterSeconds": {"$numberLong": "60"}}`, true},
	"series":            {`{"timeseries": {"timeField": "t", "metaField": "m"}}`, ``, `{"expireAfterSeconds": {"$numberLong": "60"}}`, true},
	"series, shorter":   {`{"timeseries": {"timeField": "t"}, "expireAfterSeconds": 60}`, ``, `{"expireAfterSeconds": 30}`, true},
	"series, off":       {`{"timeseries": {"timeField": "t"}, "expireAfterSeconds": 60}`, ``, `{"expireAfterSeconds": "off"}`, false},
	"series, coarser":   {`{"timeseries": {"timeField": "t"}}`, ``, `{"timeseries": {"granularity": "minutes"}}`, false},
}

// testModifications changes collections by commands, has mongosh make the
// changes of the oplog on equal collections and revert them.
func (r real) testModifications(t *testing.T) {
	cases := maps.Clone(modifyCases)
	for name := range modifyCases {
		if !r.prepareModify(t, "changed", name) || !r.prepareModify(t, "again", name) {
			delete(cases, name)
		}
	}
	before := r.list(t, "changed")
	var forward, back []string
	for name, c := range cases {
		if !r.understands(t, "changed", prepend("collMod", name, fromJSON(t, c.changes))) {
			continue
		}
		changes := r.logged(t, "changed", name)
		m := mongosh.Modification{Changes: changes, Options: before[name].options, Index: indexNamed(before[name].indexes, "i")}
		undo := mongosh.UndoModifyCollection("again", name, m)
		if (undo != "") != c.undone {
			t.Errorf("%s: undone by %q", name, undo)
		}
		if undo != "" {
			back = append(back, undo)
		}
		forward = append(forward, mongosh.ModifyCollection("again", name, changes))
	}
	r.mustEach(t, forward)
	after := r.list(t, "changed")
	if got, want := normal(r.list(t, "again")), normal(after); got != want {
		t.Errorf("changed again, the catalogs differ\n%s", difference(got, want))
	}
	r.mustEach(t, back)
	for name, c := range cases {
		if !c.undone {
			before[name] = after[name]
		}
	}
	if got, want := normal(withoutDefaults(r.list(t, "again"))), normal(withoutDefaults(before)); got != want {
		t.Errorf("taken back, the catalogs differ\n%s", difference(got, want))
	}
	r.dropAll(t, "changed", "again")
}

// prepareModify reports whether the server knows what the case needs.
func (r real) prepareModify(t *testing.T, db, name string) bool {
	t.Helper()
	c := modifyCases[name]
	if !r.understands(t, db, prepend("create", name, fromJSON(t, c.options))) {
		return false
	}
	if c.index == "" {
		return true
	}
	spec := bson.D{{Key: "key", Value: bson.D{{Key: "b", Value: 1}, {Key: "0", Value: 1}}}, {Key: "name", Value: "i"}}
	if strings.Contains(c.index+c.changes, "expireAfterSeconds") {
		spec[0].Value = bson.D{{Key: "at", Value: 1}}
	}
	elements := must(fromJSON(t, c.index).Elements())
	for _, e := range elements {
		spec = append(spec, bson.E{Key: e.Key(), Value: e.Value()})
	}
	ok := r.understands(t, db, bson.D{{Key: "createIndexes", Value: name}, {Key: "indexes", Value: bson.A{spec}}})
	if !ok {
		r.command(t, db, bson.D{{Key: "drop", Value: name}})
	}
	return ok
}

// logged is the o of the last collMod entry in the oplog.
func (r real) logged(t *testing.T, db, coll string) bson.Raw {
	t.Helper()
	filter := bson.D{{Key: "ns", Value: db + ".$cmd"}, {Key: "o.collMod", Value: bson.D{{Key: "$in", Value: bson.A{coll, "system.buckets." + coll}}}}}
	newest := options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})
	entry, err := r.client.Database("local").Collection("oplog.rs").FindOne(t.Context(), filter, newest).Raw()
	if err != nil {
		t.Fatalf("the collMod of %s in the oplog: %v", coll, err)
	}
	return slices.Clone(entry.Lookup("o").Document())
}

func prepend(command, name string, doc bson.Raw) bson.D {
	all := bson.D{{Key: command, Value: name}}
	elements, _ := doc.Elements()
	for _, e := range elements {
		all = append(all, bson.E{Key: e.Key(), Value: e.Value()})
	}
	return all
}

func indexNamed(specs []bson.Raw, name string) bson.Raw {
	for _, spec := range specs {
		if spec.Lookup("name").StringValue() == name {
			return spec
		}
	}
	return nil
}

// withoutDefaults forgets the defaults that stay behind when a validator goes.
func withoutDefaults(all map[string]listed) map[string]listed {
	forgetful := make(map[string]listed)
	for name, c := range all {
		kept := bson.D{}
		elements, _ := c.options.Elements()
		for _, e := range elements {
			if s, _ := e.Value().StringValueOK(); !strings.HasPrefix(e.Key(), "validation") || s != "strict" && s != "error" {
				kept = append(kept, bson.E{Key: e.Key(), Value: e.Value()})
			}
		}
		forgetful[name] = listed{must(bson.Marshal(kept)), c.indexes}
	}
	return forgetful
}
