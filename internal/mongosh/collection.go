package mongosh

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema/option"
)

// CreateCollection returns the statement that creates a collection with options from the catalog
// or the oplog, nil for none:
//
//	db.getSiblingDB('banking_db').createCollection('log', {capped: true, size: 4096})
//
// Options that create refuses or derives are omitted. A capped clustered collection, which create
// refuses, needs several statements, on one line.
func CreateCollection(db, coll string, options bson.Raw) string {
	t := longTarget(db, coll)
	minimal, ok := minimalOptions(options)
	switch {
	case !ok:
		return ""
	case minimal.has("clusteredIndex") && minimal.has("capped"):
		return t.createThenCap(options, minimal)
	case !createCollectionAccepts(minimal):
		return t.command(append(object{{"create", text(coll)}}, minimal...))
	case len(minimal) == 0:
		return t.call(t.db, "createCollection", text(coll))
	}
	return t.call(t.db, "createCollection", text(coll), minimal)
}

// createThenCap creates a clustered collection and converts it to capped while it is empty.
func (t target) createThenCap(options bson.Raw, minimal object) string {
	limits := func(f field) bool { return f.key == "capped" || f.key == "size" || f.key == "max" }
	rest := slices.DeleteFunc(slices.Clone(minimal), limits)
	statements := []string{t.command(append(object{{"create", text(t.name)}}, rest...)), t.convertToCapped(options)}
	if limit, ok := minimal.find("max"); ok {
		statements = append(statements, t.command(object{{"collMod", text(t.name)}, {"cappedMax", limit}}))
	}
	if slices.Contains(statements, "") {
		return ""
	}
	return strings.Join(statements, "; ")
}

// createCollectionAccepts reports whether mongosh's createCollection has the same effect as the
// create command. With encryptedFields it also creates two collections and an index, which have
// their own oplog entries and statements.
func createCollectionAccepts(options object) bool {
	if shapeOf(options) != plainObject {
		return false
	}
	for _, f := range options {
		if !option.Collection(f.key).Helper {
			return false
		}
	}
	return true
}

// DropCollection returns the statement that drops a collection or a view. options are those of
// the collection, nil if not known: a collection with encryptedFields is dropped by command,
// because mongosh's drop would also drop its metadata collections.
func DropCollection(db, coll string, options bson.Raw) string {
	t := longTarget(db, coll)
	stored, _ := parse(options)
	_, encrypted := stored.get("encryptedFields")
	if encrypted || !acceptedByHelpers(coll) {
		return t.command(object{{"drop", text(coll)}})
	}
	return t.call(t.collection, "drop")
}
