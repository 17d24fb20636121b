package mongosh_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// listed is a collection as the server lists it.
type listed struct {
	options bson.Raw
	indexes []bson.Raw
}

func (r real) list(t *testing.T, db string) map[string]listed {
	t.Helper()
	cursor, err := r.client.Database(db).ListCollections(t.Context(), bson.D{})
	if err != nil {
		t.Fatalf("list collections: %v", err)
	}
	all := make(map[string]listed)
	for cursor.Next(t.Context()) {
		name := cursor.Current.Lookup("name").StringValue()
		if strings.HasPrefix(name, "system.") {
			continue
		}
		c := listed{options: slices.Clone(cursor.Current.Lookup("options").Document())}
		if cursor.Current.Lookup("type").StringValue() != "view" {
			c.indexes = r.listIndexes(t, db, name)
		}
		all[name] = c
	}
	return all
}

func (r real) listIndexes(t *testing.T, db, coll string) []bson.Raw {
	t.Helper()
	cursor, err := r.client.Database(db).Collection(coll).Indexes().List(t.Context())
	if err != nil {
		t.Fatalf("list indexes of %q: %v", coll, err)
	}
	var specs []bson.Raw
	for cursor.Next(t.Context()) {
		specs = append(specs, slices.Clone(cursor.Current))
	}
	return specs
}

// normal is a catalog in a form that compares: options in order of their
// names, numbers without their type where the server reads numbers, no
// background, which says nothing about an existing index.
func normal(all map[string]listed) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%q %s\n", name, normalOptions(all[name].options))
		specs := make([]string, 0)
		for _, spec := range all[name].indexes {
			specs = append(specs, "    "+normalOptions(spec)+"\n")
		}
		slices.Sort(specs)
		b.WriteString(strings.Join(specs, ""))
	}
	return b.String()
}

func normalOptions(doc bson.Raw) string {
	var parts []string
	elements, _ := doc.Elements()
	for _, e := range elements {
		if e.Key() == "background" {
			continue
		}
		text := e.Value().String()
		if isNumeric(e.Value()) || e.Key() == "key" || e.Key() == "clusteredIndex" {
			text = normalNumbers(e.Value())
		}
		parts = append(parts, e.Key()+": "+text)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func isNumeric(v bson.RawValue) bool {
	_, ok := v.AsFloat64OK()
	return ok
}

func normalNumbers(v bson.RawValue) string {
	if f, ok := v.AsFloat64OK(); ok {
		return fmt.Sprint(f)
	}
	doc, ok := v.DocumentOK()
	if !ok {
		return v.String()
	}
	var parts []string
	elements, _ := doc.Elements()
	for _, e := range elements {
		parts = append(parts, e.Key()+": "+normalNumbers(e.Value()))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (r real) command(t *testing.T, db string, command bson.D) {
	t.Helper()
	if err := r.client.Database(db).RunCommand(t.Context(), command).Err(); err != nil {
		t.Fatalf("%v: %v", command, err)
	}
}

// understands runs a command and says whether the server knows such commands;
// 6.0, the version that the cases are made for, has to know all.
func (r real) understands(t *testing.T, db string, command bson.D) bool {
	t.Helper()
	err := r.client.Database(db).RunCommand(t.Context(), command).Err()
	if err != nil && r.major >= 6 {
		t.Fatalf("%v: %v", command, err)
	}
	return err == nil
}

// names lists the collections of a database.
func (r real) names(t *testing.T, db string) []string {
	t.Helper()
	names, err := r.client.Database(db).ListCollectionNames(t.Context(), bson.D{}, options.ListCollections().SetNameOnly(true))
	if err != nil {
		t.Fatalf("list collections: %v", err)
	}
	slices.Sort(names)
	return names
}

func (r real) dropAll(t *testing.T, dbs ...string) {
	t.Helper()
	for _, db := range dbs {
		database := r.client.Database(db)
		if err := database.Drop(t.Context()); err != nil {
			t.Fatalf("drop %s: %v", db, err)
		}
	}
}
