package migration

import (
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

func raw(t *testing.T, doc bson.D) bson.Raw {
	t.Helper()
	out, err := bson.Marshal(append(bson.D{}, doc...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func ns(name string) schema.Namespace {
	db, coll, _ := strings.Cut(name, ".")
	return schema.Namespace{Database: db, Collection: coll}
}

func collection(t *testing.T, uuid byte, options bson.D, indexes ...bson.D) schema.Definition {
	t.Helper()
	d := schema.Definition{Kind: schema.KindCollection, UUID: oplog.UUID{uuid}, Options: raw(t, options)}
	for _, spec := range indexes {
		d.Indexes = append(d.Indexes, raw(t, spec))
	}
	return d
}

func view(t *testing.T, on string, pipeline bson.A) schema.Definition {
	t.Helper()
	return schema.Definition{Kind: schema.KindView, Options: raw(t, bson.D{{Key: "viewOn", Value: on}, {Key: "pipeline", Value: pipeline}})}
}

// TestEqual sees which differences are none.
func TestEqual(t *testing.T) {
	base := collection(t, 1, bson.D{{Key: "capped", Value: true}, {Key: "size", Value: int32(4096)}},
		bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "a", Value: 1}}}, {Key: "name", Value: "a"}})
	same := collection(t, 2, bson.D{{Key: "size", Value: 4096.0}, {Key: "capped", Value: true}, {Key: "validationLevel", Value: "strict"}},
		bson.D{{Key: "name", Value: "a"}, {Key: "key", Value: bson.D{{Key: "a", Value: int64(1)}}}})
	if !base.Equivalent(same) {
		t.Error("order, number types and defaults make a difference")
	}
	for name, other := range map[string]schema.Definition{
		"size":      collection(t, 1, bson.D{{Key: "capped", Value: true}, {Key: "size", Value: int32(8192)}}, bson.D{{Key: "key", Value: bson.D{{Key: "a", Value: 1}}}, {Key: "name", Value: "a"}}),
		"no index":  collection(t, 1, bson.D{{Key: "capped", Value: true}, {Key: "size", Value: int32(4096)}}),
		"direction": collection(t, 1, bson.D{{Key: "capped", Value: true}, {Key: "size", Value: int32(4096)}}, bson.D{{Key: "key", Value: bson.D{{Key: "a", Value: -1}}}, {Key: "name", Value: "a"}}),
		"name":      collection(t, 1, bson.D{{Key: "capped", Value: true}, {Key: "size", Value: int32(4096)}}, bson.D{{Key: "key", Value: bson.D{{Key: "a", Value: 1}}}, {Key: "name", Value: "b"}}),
		"view":      view(t, "x", bson.A{}),
	} {
		if base.Equivalent(other) {
			t.Errorf("%s makes no difference", name)
		}
	}
	if view(t, "a", bson.A{}).Equivalent(view(t, "b", bson.A{})) {
		t.Error("what a view is based on makes no difference")
	}
}

// TestRenamesInACircle swaps two names and moves a third onto a name that goes.
func TestRenamesInACircle(t *testing.T) {
	a, b, c, gone := collection(t, 1, nil), collection(t, 2, nil), collection(t, 3, nil), collection(t, 4, nil)
	from := schema.Definitions{ns("d.a"): a, ns("d.b"): b, ns("d.c"): c, ns("d.gone"): gone}
	to := schema.Definitions{ns("d.a"): b, ns("d.b"): a, ns("d.gone"): c}
	const coll = "db.getSiblingDB('d').getCollection"
	want := []string{
		"// DATA IS LOST: 'd.gone' is dropped with its documents",
		coll + "('gone').drop()",
		coll + "('c').renameCollection('gone')",
		coll + "('b').renameCollection('ddltail.moving.1')",
		coll + "('a').renameCollection('b')",
		coll + "('ddltail.moving.1').renameCollection('a')",
	}
	if got := strings.TrimSpace(Lead(from, to, AllowDestructive).String()); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s", got)
	}
}

// TestViewsInOrder creates each view after those it is based on, by their pipelines too.
func TestViewsInOrder(t *testing.T) {
	joined := bson.A{bson.D{{Key: "$lookup", Value: bson.D{{Key: "from", Value: "z"}}}}}
	s := schema.Definitions{ns("d.a"): view(t, "m", bson.A{}), ns("d.m"): view(t, "base", joined), ns("d.z"): view(t, "base", bson.A{}), ns("d.base"): collection(t, 1, nil)}
	got := Create(s).String()
	for _, pair := range [][2]string{{"'base'", "'z'"}, {"createView('z'", "createView('m'"}, {"createView('m'", "createView('a'"}} {
		if strings.Index(got, pair[0]) > strings.Index(got, pair[1]) {
			t.Errorf("%s comes after %s in\n%s", pair[0], pair[1], got)
		}
	}
	// Two views that change places cannot be changed where they are.
	turned := schema.Definitions{ns("d.a"): view(t, "base", bson.A{}), ns("d.m"): view(t, "a", bson.A{}), ns("d.z"): s[ns("d.z")], ns("d.base"): s[ns("d.base")]}
	if script := Lead(s, turned, AllowDestructive).String(); strings.Contains(script, "collMod") || strings.Contains(script, "DATA") {
		t.Errorf("got\n%s", script)
	}
}

// TestWarnings names all that documents go with, and nothing else.
func TestWarnings(t *testing.T) {
	ttl := func(seconds int) bson.D {
		return bson.D{{Key: "key", Value: bson.D{{Key: "t", Value: 1}}}, {Key: "name", Value: "ttl"}, {Key: "expireAfterSeconds", Value: seconds}}
	}
	plain := bson.D{{Key: "key", Value: bson.D{{Key: "t", Value: 1}}}, {Key: "name", Value: "ttl"}}
	capped := func(size int) bson.D { return bson.D{{Key: "capped", Value: true}, {Key: "size", Value: size}} }
	for _, c := range []struct {
		name     string
		from, to schema.Definition
		destroys int
		holds    string
	}{
		{"shorter expiry", collection(t, 1, nil, ttl(100)), collection(t, 1, nil, ttl(10)), 1, "expireAfterSeconds: 10"},
		{"longer expiry", collection(t, 1, nil, ttl(10)), collection(t, 1, nil, ttl(100)), 0, "collMod"},
		{"new expiry", collection(t, 1, nil, plain), collection(t, 1, nil, ttl(100)), 1, "dropIndex"},
		{"no expiry", collection(t, 1, nil, ttl(100)), collection(t, 1, nil, plain), 0, "dropIndex"},
		{"smaller", collection(t, 1, capped(9000)), collection(t, 1, capped(5000)), 1, "cappedSize: 5000"},
		{"larger", collection(t, 1, capped(5000)), collection(t, 1, capped(9000)), 0, "cappedSize: 9000"},
		{"no limit", collection(t, 1, append(capped(5000), bson.E{Key: "max", Value: 10})), collection(t, 1, capped(5000)), 0, "cappedMax: 0"},
		{"a limit", collection(t, 1, capped(5000)), collection(t, 1, append(capped(5000), bson.E{Key: "max", Value: 10})), 1, "cappedMax: 10"},
		{"capped", collection(t, 1, nil, plain), collection(t, 1, capped(5000), plain), 1, "convertToCapped(5000)"},
		{"no longer capped", collection(t, 1, capped(5000)), collection(t, 1, nil), 1, "recreated"},
		{"collation", collection(t, 1, nil), collection(t, 1, bson.D{{Key: "collation", Value: bson.D{{Key: "locale", Value: "de"}}}}), 1, "recreated"},
		{"validator", collection(t, 1, nil), collection(t, 1, bson.D{{Key: "validator", Value: bson.D{{Key: "a", Value: 1}}}}), 0, "collMod"},
		{"no validator", collection(t, 1, bson.D{{Key: "validator", Value: bson.D{{Key: "a", Value: 1}}}}), collection(t, 1, nil), 0, "validator: {}"},
		{"hidden", collection(t, 1, nil, plain), collection(t, 1, nil, append(plain[:2:2], bson.E{Key: "hidden", Value: true})), 0, "hidden: true"},
	} {
		script := Lead(schema.Definitions{ns("d.c"): c.from}, schema.Definitions{ns("d.c"): c.to}, AllowDestructive)
		if script.Destroying() != c.destroys || strings.Count(script.String(), "// DATA") != c.destroys || !strings.Contains(script.String(), c.holds) {
			t.Errorf("%s: %d destroying, want %d, and %q:\n%s", c.name, script.Destroying(), c.destroys, c.holds, script)
		}
	}
}

// TestReplacedIndex creates an index before it drops the one that it replaces, where every server
// accepts both.
func TestReplacedIndex(t *testing.T) {
	index := func(name string, more ...bson.E) bson.D {
		return append(bson.D{{Key: "key", Value: bson.D{{Key: "x", Value: 1}}}, {Key: "name", Value: name}}, more...)
	}
	collation := func(locale string) bson.E {
		return bson.E{Key: "collation", Value: bson.D{{Key: "locale", Value: locale}}}
	}
	for _, c := range []struct {
		name     string
		old, new bson.D
		first    string
	}{
		{"another name", index("a"), index("b"), "dropIndex"},
		{"the same collation", index("a", collation("de")), index("b", collation("de")), "dropIndex"},
		{"another collation", index("a", collation("de")), index("b", collation("en")), "createIndex"},
		{"a collation, none before", index("a"), index("b", collation("en")), "createIndex"},
		{"another filter, refused before 5.0", index("a"), index("b", bson.E{Key: "partialFilterExpression", Value: bson.D{{Key: "x", Value: 1}}}), "dropIndex"},
	} {
		from, to := collection(t, 1, nil, c.old), collection(t, 1, nil, c.new)
		script := Lead(schema.Definitions{ns("d.c"): from}, schema.Definitions{ns("d.c"): to}, AllowDestructive).String()
		drop, create := strings.Index(script, "dropIndex"), strings.Index(script, "createIndex")
		if drop < 0 || create < 0 || (drop < create) != (c.first == "dropIndex") {
			t.Errorf("%s: want %s first in\n%s", c.name, c.first, script)
		}
	}
}

// TestKeepDocuments checks that without permission no collection is dropped in order to
// change it, that the comment names what differs, and that everything else is changed.
func TestKeepDocuments(t *testing.T) {
	index := bson.D{{Key: "key", Value: bson.D{{Key: "t", Value: 1}}}, {Key: "name", Value: "t_1"}}
	capped := bson.D{{Key: "capped", Value: true}, {Key: "size", Value: 5000}}
	validator := bson.E{Key: "validator", Value: bson.D{{Key: "a", Value: 1}}}
	german := bson.E{Key: "collation", Value: bson.D{{Key: "locale", Value: "de"}}}
	series := collection(t, 1, bson.D{{Key: "timeseries", Value: bson.D{{Key: "timeField", Value: "t"}}}})
	series.Kind = schema.KindTimeSeries
	for _, c := range []struct {
		name     string
		from, to schema.Definition
		holds    []string
	}{
		{"no longer capped", collection(t, 1, capped), collection(t, 1, nil, index), []string{"NOT CHANGED: 'd.c' differs in capped, size;", "createIndex({t: 1}"}},
		{"a validator beside", collection(t, 1, nil), collection(t, 1, bson.D{german, validator}), []string{"NOT CHANGED: 'd.c' differs in collation;", "validator: {a: 1}"}},
		{"another kind", collection(t, 1, nil), series, []string{"NOT CHANGED: 'd.c' differs from collection to timeseries;"}},
		{"a view instead", collection(t, 1, nil), view(t, "x", bson.A{}), []string{"NOT CHANGED: 'd.c' differs from collection to view;"}},
	} {
		script := Lead(schema.Definitions{ns("d.c"): c.from}, schema.Definitions{ns("d.c"): c.to}, KeepDocuments)
		text := script.String()
		if script.Withheld() != 1 || script.Destroying() != 0 || strings.Contains(text, "drop()") || strings.Contains(text, "createCollection") {
			t.Errorf("%s:\n%s", c.name, text)
		}
		for _, want := range c.holds {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, text)
			}
		}
	}
	if text := Lead(schema.Definitions{ns("d.c"): view(t, "x", bson.A{})}, schema.Definitions{ns("d.c"): collection(t, 1, nil)}, KeepDocuments).String(); strings.Contains(text, "NOT CHANGED") {
		t.Errorf("a view has no documents to keep:\n%s", text)
	}
}

// TestKeepNames checks that without permission a collection that does not exist later stays, and that
// nothing is renamed or created over it: neither over what it keeps from being renamed.
func TestKeepNames(t *testing.T) {
	a, b, c := collection(t, 1, nil), collection(t, 2, nil), collection(t, 3, bson.D{{Key: "capped", Value: true}, {Key: "size", Value: 5000}})
	index := bson.D{{Key: "key", Value: bson.D{{Key: "t", Value: 1}}}, {Key: "name", Value: "t_1"}}
	from := schema.Definitions{ns("d.gone"): a, ns("d.orders"): b, ns("d.v"): view(t, "x", bson.A{})}
	to := schema.Definitions{ns("d.gone"): collection(t, 2, nil, index), ns("d.orders"): c}
	want := []string{
		"// NOT RENAMED: 'd.orders' to 'd.gone', the name of a collection that is not dropped or renamed; its other differences are omitted (--allow-destructive)",
		"// NOT CREATED: 'd.orders' is the name of a collection that is not dropped or renamed (--allow-destructive)",
		"// NOT DROPPED: 'd.gone' does not exist in the target schema; a drop would delete its documents (--allow-destructive)",
		"db.getSiblingDB('d').getCollection('v').drop()",
	}
	script := Lead(from, to, KeepDocuments)
	got := strings.Split(strings.TrimSpace(script.String()), "\n")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || script.Withheld() != 3 {
		t.Errorf("withheld %d:\n%s", script.Withheld(), script)
	}
}

// TestAutoIndexID checks that an option of old drivers without effect is no difference, in
// whatever form it was sent, and does not prevent a collMod of another option.
func TestAutoIndexID(t *testing.T) {
	capped := bson.D{{Key: "capped", Value: true}, {Key: "size", Value: 5000}}
	validated := append(capped[:2:2], bson.E{Key: "validator", Value: bson.D{{Key: "a", Value: 1}}})
	for _, value := range []any{true, false, 1, 0, 1.5, nil} {
		sent := collection(t, 1, append(capped[:2:2], bson.E{Key: "autoIndexId", Value: value}))
		for _, pair := range [][2]schema.Definition{{sent, collection(t, 1, capped)}, {collection(t, 1, capped), sent}} {
			if script := Lead(schema.Definitions{ns("d.c"): pair[0]}, schema.Definitions{ns("d.c"): pair[1]}, AllowDestructive); len(script) != 0 || !pair[0].Equivalent(pair[1]) {
				t.Errorf("autoIndexId: %v is a difference:\n%s", value, script)
			}
		}
		script := Lead(schema.Definitions{ns("d.c"): sent}, schema.Definitions{ns("d.c"): collection(t, 1, validated)}, AllowDestructive)
		if len(script) != 1 || !strings.Contains(script.String(), "collMod: 'c', validator") {
			t.Errorf("autoIndexId: %v, and a validator: want one collMod, got\n%s", value, script)
		}
	}
}

func TestUnsaid(t *testing.T) {
	script := Create(schema.Definitions{ns("d.bad\xff"): collection(t, 1, nil)})
	if script.Unsaid() != 1 || !strings.Contains(script.String(), "// cannot be expressed in mongosh") {
		t.Errorf("got %q", script)
	}
	for line := range strings.Lines(Create(schema.Definitions{ns("d.two\nlines"): collection(t, 1, bson.D{{Key: "validator", Value: bson.D{{Key: "\xff", Value: 1}}}})}).String()) {
		if !strings.HasPrefix(line, "//") {
			t.Errorf("a line that is no comment: %q", line)
		}
	}
}
