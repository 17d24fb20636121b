package property

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// schema is a catalog in a form that can be compared: by namespace the options and
// the indexes, as text.
type schema map[string]*definition

type definition struct {
	options string
	indexes map[string]string
}

// canonical writes a document with its fields in alphabetical order: options and
// specs have none that means anything. What is inside keeps its order.
func canonical(t *testing.T, doc bson.Raw) string {
	if len(doc) == 0 {
		return "{}"
	}
	elems, err := doc.Elements()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, el := range elems {
		value, _ := el.Value().StringValueOK()
		// collMod writes these defaults down and cannot remove them again.
		if el.Key() == "validationLevel" && value == "strict" || el.Key() == "validationAction" && value == "error" {
			continue
		}
		one, err := bson.MarshalExtJSON(bson.D{{Key: el.Key(), Value: el.Value()}}, false, false)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(one))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// apply folds one notification in, as a reader of the documentation would. It says
// what is wrong with it.
func (s schema) apply(t *testing.T, doc bson.Raw) []string {
	text := func(field string) string { v, _ := doc.Lookup(field).StringValueOK(); return v }
	after, _ := doc.Lookup("after").DocumentOK()
	ns := text("ns")
	at := s[ns]
	if at == nil {
		switch text("operation") {
		case "CREATE_INDEX", "DROP_INDEX", "MODIFY_COLLECTION", "RENAME_COLLECTION":
			return []string{"told of a namespace that is not there: " + doc.String()}
		}
	}
	switch op := text("operation"); op {
	case "CREATE_COLLECTION", "CREATE_VIEW", "MODIFY_VIEW", "CONVERT_TO_CAPPED":
		s[ns] = &definition{canonical(t, after), map[string]string{}}
	case "DROP_COLLECTION", "DROP_VIEW":
		delete(s, ns)
	case "CREATE_INDEX":
		at.indexes[text("index_name")] = canonical(t, after)
	case "DROP_INDEX":
		delete(at.indexes, text("index_name"))
	case "MODIFY_COLLECTION":
		if name := text("index_name"); name != "" {
			at.indexes[name] = canonical(t, after)
		} else {
			at.options = canonical(t, after)
		}
	case "RENAME_COLLECTION":
		s[text("to")] = at
		delete(s, ns)
	case "REPLACE_COLLECTION":
		options, _ := after.Lookup("options").DocumentOK()
		d := &definition{canonical(t, options), map[string]string{}}
		specs, _ := after.Lookup("indexes").Array().Values()
		for _, spec := range specs {
			d.indexes[spec.Document().Lookup("name").StringValue()] = canonical(t, spec.Document())
		}
		s[ns] = d
	case "DROP_DATABASE", "ABORT_INDEX_BUILD":
	default:
		return []string{"unexpected: " + doc.String()}
	}
	return nil
}

// listed asks a server for what it has.
func listed(ctx context.Context, t *testing.T, client *mongo.Client, dbs []string) schema {
	s := schema{}
	for _, db := range dbs {
		cur, err := client.Database(db).ListCollections(ctx, bson.D{})
		if err != nil {
			t.Fatal(err)
		}
		var infos []bson.Raw
		if err := cur.All(ctx, &infos); err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			name := info.Lookup("name").StringValue()
			if strings.HasPrefix(name, "system.") || strings.HasPrefix(name, "schema_") {
				continue
			}
			d := &definition{canonical(t, info.Lookup("options").Document()), map[string]string{}}
			if info.Lookup("type").StringValue() != "view" {
				listIndexes(ctx, t, client.Database(db), name, d)
			}
			s[db+"."+name] = d
		}
	}
	return s
}

func listIndexes(ctx context.Context, t *testing.T, db *mongo.Database, name string, d *definition) {
	cur, err := db.RunCommandCursor(ctx, bson.D{{Key: "listIndexes", Value: name}})
	if err != nil {
		t.Fatal(err)
	}
	var specs []bson.Raw
	if err := cur.All(ctx, &specs); err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs {
		clustered, _ := spec.Lookup("clustered").BooleanOK()
		if index := spec.Lookup("name").StringValue(); index != "_id_" && !clustered {
			d.indexes[index] = canonical(t, spec)
		}
	}
}

// differences says, one a line, where two catalogs are not the same.
func differences(what string, got, want schema) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, what+": "+fmt.Sprintf(format, args...)) }
	for ns, w := range want {
		g := got[ns]
		if g == nil {
			add("%q is missing", ns)
			continue
		}
		if g.options != w.options {
			add("%q has the options\n%s\nwant\n%s", ns, g.options, w.options)
		}
		for name, spec := range w.indexes {
			if g.indexes[name] != spec {
				add("%q has the index %q\n%s\nwant\n%s", ns, name, g.indexes[name], spec)
			}
		}
		if len(g.indexes) != len(w.indexes) {
			add("%q has %d indexes, want %d", ns, len(g.indexes), len(w.indexes))
		}
	}
	for ns := range got {
		if want[ns] == nil {
			add("%q should not be there", ns)
		}
	}
	slices.Sort(out)
	return out
}
