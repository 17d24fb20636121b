package mongosh

import "go.mongodb.org/mongo-driver/v2/bson"

// undoName is the name that a collection bears while it is being looked at.
const undoName = "ddltail.undo"

// UndoCreateCollection drops a collection if it is still empty when the
// statement runs. Options are those it was made with.
//
// Looking and dropping are two commands, and a transaction that is open
// between them may hold a document that is not visible yet. So the collection is
// first renamed out of its writers' reach, looked at again, and named back
// where a document has come. Time series and collections with encrypted fields
// cannot be renamed: there is no statement for them.
func UndoCreateCollection(db, coll string, options bson.Raw) string {
	valid := expressible(db) && expressible(coll) && helpersTake(coll)
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

// UndoDropIndex makes a dropped index again. There is no statement for one
// that expires documents.
func UndoDropIndex(db, coll string, spec bson.Raw) string {
	fields, _ := parse(spec)
	if _, expires := fields.get("expireAfterSeconds"); expires {
		return ""
	}
	return CreateIndex(db, coll, spec)
}
