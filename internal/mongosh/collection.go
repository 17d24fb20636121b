package mongosh

import "go.mongodb.org/mongo-driver/v2/bson"

// CreateCollection makes a collection with the options that the catalog or the
// oplog has, nil for none:
//
//	db.getSiblingDB('banking_db').createCollection('log', {capped: true, size: 4096})
//
// What create refuses or derives is left out.
func CreateCollection(db, coll string, options bson.Raw) string {
	t := longTarget(db, coll)
	minimal, ok := minimalOptions(options)
	switch {
	case !ok:
		return ""
	case !createCollectionTakes(minimal):
		return t.command(append(object{{"create", text(coll)}}, minimal...))
	case len(minimal) == 0:
		return t.call(t.db, "createCollection", text(coll))
	}
	return t.call(t.db, "createCollection", text(coll), minimal)
}

// createCollectionTakes says whether mongosh's createCollection does just what
// the create command would. With encryptedFields it makes two further
// collections and an index, whose own entries in the oplog are statements of
// their own.
func createCollectionTakes(options object) bool {
	if shapeOf(options) != plainObject {
		return false
	}
	for _, f := range options {
		switch f.key {
		case "capped", "size", "max", "validator", "validationLevel", "validationAction", "collation",
			"timeseries", "expireAfterSeconds", "clusteredIndex", "changeStreamPreAndPostImages",
			"storageEngine", "indexOptionDefaults", "viewOn", "pipeline":
		default:
			return false
		}
	}
	return true
}

// DropCollection drops a collection or a view. Options are those it had, nil
// where they are not known: mongosh's drop takes a collection's encrypted
// companions along, so that one with encryptedFields is dropped by command.
func DropCollection(db, coll string, options bson.Raw) string {
	t := longTarget(db, coll)
	stored, _ := parse(options)
	_, encrypted := stored.get("encryptedFields")
	if encrypted || !helpersTake(coll) {
		return t.command(object{{"drop", text(coll)}})
	}
	return t.call(t.collection, "drop")
}
