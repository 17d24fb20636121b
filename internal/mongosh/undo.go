package mongosh

import "go.mongodb.org/mongo-driver/v2/bson"

// undoName is the temporary name of a collection during the check that it is empty.
const undoName = "ddltail.undo"

// UndoCreateCollection drops a collection if it is still empty when the
// statement runs. Options are the options with which it was created.
//
// The check and the drop are two commands, and a transaction that is open
// between them may have inserted a document that is not visible yet. So the collection
// is first renamed so that writers cannot reach it, checked again, and renamed back if it
// is no longer empty. Time series and collections with encrypted fields cannot be
// renamed: no statement is generated for them.
func UndoCreateCollection(db, coll string, options bson.Raw) string {
	valid := expressible(db) && expressible(coll) && acceptedByHelpers(coll)
	if !valid || !canBeRenamed(options) {
		return ""
	}
	was, now := Collection(db, coll), Collection(db, undoName)
	return was + ".findOne() === null" +
		" && " + was + ".renameCollection(" + Quote(undoName) + ").ok" +
		" && (" + now + ".findOne() === null ? " + now + ".drop() : " + now + ".renameCollection(" + Quote(coll) + "))"
}

func canBeRenamed(options bson.Raw) bool {
	if len(options) == 0 {
		return true
	}
	stored, ok := parse(options)
	for _, fixed := range []string{"timeseries", "encryptedFields", "viewOn"} {
		if _, has := stored.get(fixed); has {
			return false
		}
	}
	return ok
}

// UndoDropIndex recreates a dropped index. No statement is generated for an index
// that expires documents.
func UndoDropIndex(db, coll string, spec bson.Raw) string {
	fields, _ := parse(spec)
	if _, expires := fields.get("expireAfterSeconds"); expires {
		return ""
	}
	return CreateIndex(db, coll, spec)
}
