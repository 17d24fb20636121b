package mongosh

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema/option"
)

// CreateCollection creates a collection with the options that the catalog or the
// oplog has, nil for none:
//
//	db.getSiblingDB('banking_db').createCollection('log', {capped: true, size: 4096})
//
// What create refuses or derives is left out. A clustered collection that is capped
// takes more than one statement, on one line: create refuses to make it.
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

// createThenCap creates a clustered collection, and converts it to capped while it is
// empty.
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

// createCollectionAccepts reports whether mongosh's createCollection does just what
// the create command would. With encryptedFields it makes two further
// collections and an index, whose own entries in the oplog are statements of
// their own.
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

// DropCollection drops a collection or a view. Options are those it had, nil
// where they are not known: mongosh's drop takes a collection's encrypted
// companions too, so that one with encryptedFields is dropped by command.
func DropCollection(db, coll string, options bson.Raw) string {
	t := longTarget(db, coll)
	stored, _ := parse(options)
	_, encrypted := stored.get("encryptedFields")
	if encrypted || !acceptedByHelpers(coll) {
		return t.command(object{{"drop", text(coll)}})
	}
	return t.call(t.collection, "drop")
}
