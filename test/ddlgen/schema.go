package ddlgen

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/mongotest"
)

// Schema is a catalog in comparable form: the options and indexes of each namespace, as
// text.
type Schema map[string]*Definition

// Definition is one namespace.
type Definition struct {
	Options string
	Indexes map[string]string
}

// Canonical returns a document as text with its top-level fields sorted, because the
// order of options has no meaning. Nested documents keep their order. An invalid document
// is equal to no other.
func Canonical(doc bson.Raw) string {
	if len(doc) == 0 {
		return "{}"
	}
	elems, err := doc.Elements()
	if err != nil {
		return fmt.Sprintf("%x: %v", []byte(doc), err)
	}
	var out []string
	for _, el := range elems {
		value, _ := el.Value().StringValueOK()
		// collMod stores these defaults explicitly and cannot remove them.
		if el.Key() == "validationLevel" && value == "strict" || el.Key() == "validationAction" && value == "error" {
			continue
		}
		// If collMod removes the limit, the server stores the maximum instead.
		if limit, _ := el.Value().AsInt64OK(); el.Key() == "max" && limit == math.MaxInt32 {
			continue
		}
		one, err := bson.MarshalExtJSON(bson.D{{Key: el.Key(), Value: el.Value()}}, false, false)
		if err != nil {
			return fmt.Sprintf("%x: %v", []byte(doc), err)
		}
		out = append(out, string(one))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// Listed lists the given databases on a server.
func Listed(ctx context.Context, t mongotest.TB, client *mongo.Client, dbs []string) Schema {
	s := Schema{}
	for _, db := range dbs {
		cur, err := client.Database(db).ListCollections(ctx, bson.D{})
		if err != nil {
			t.Fatalf("%v", err)
		}
		var infos []bson.Raw
		if err := cur.All(ctx, &infos); err != nil {
			t.Fatalf("%v", err)
		}
		for _, info := range infos {
			name := info.Lookup("name").StringValue()
			if strings.HasPrefix(name, "system.") || strings.HasPrefix(name, "schema_") {
				continue
			}
			d := &Definition{Canonical(info.Lookup("options").Document()), map[string]string{}}
			if info.Lookup("type").StringValue() != "view" {
				listIndexes(ctx, t, client.Database(db), name, d)
			}
			s[db+"."+name] = d
		}
	}
	return s
}

// listIndexes leaves out indexes that are still being built, as after a crash of all members.
func listIndexes(ctx context.Context, t mongotest.TB, db *mongo.Database, name string, d *Definition) {
	cur, err := db.RunCommandCursor(ctx, bson.D{{Key: "listIndexes", Value: name}, {Key: "includeBuildUUIDs", Value: true}})
	if err != nil {
		t.Fatalf("%v", err)
	}
	var specs []bson.Raw
	if err := cur.All(ctx, &specs); err != nil {
		t.Fatalf("%v", err)
	}
	for _, spec := range specs {
		if _, err := spec.LookupErr("buildUUID"); err == nil {
			continue
		}
		clustered, _ := spec.Lookup("clustered").BooleanOK()
		if index := spec.Lookup("name").StringValue(); index != "_id_" && !clustered {
			d.Indexes[index] = Canonical(spec)
		}
	}
}

// Compare fails the test for every difference.
func Compare(t mongotest.TB, what string, got, want Schema) {
	t.Helper()
	for _, difference := range Differences(what, got, want) {
		t.Errorf("%s", difference)
	}
}

// Differences describes the differences of two catalogs.
func Differences(what string, got, want Schema) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, what+": "+fmt.Sprintf(format, args...)) }
	for ns, w := range want {
		g := got[ns]
		if g == nil {
			add("%q is missing", ns)
			continue
		}
		if g.Options != w.Options {
			add("%q has the options\n%s\nwant\n%s", ns, g.Options, w.Options)
		}
		for name, spec := range w.Indexes {
			if g.Indexes[name] != spec {
				add("%q has the index %q\n%s\nwant\n%s", ns, name, g.Indexes[name], spec)
			}
		}
		if len(g.Indexes) != len(w.Indexes) {
			add("%q has %d indexes, want %d", ns, len(g.Indexes), len(w.Indexes))
		}
	}
	for ns := range got {
		if want[ns] == nil {
			add("unexpected namespace %q", ns)
		}
	}
	slices.Sort(out)
	return out
}
