package mongosh

// RenameCollection returns the statement that renames within a database, if no collection has the
// new name. Swap the names for the statement that reverts it.
//
//	db.getSiblingDB('banking_db').getCollection('payments').renameCollection('transfers')
func RenameCollection(db, from, to string) string {
	return rename(db, from, to, nil)
}

// RenameCollectionOver returns the statement that renames within a database and drops an existing
// collection with the new name.
func RenameCollectionOver(db, from, to string) string {
	return rename(db, from, to, list{boolean(true)})
}

func rename(db, from, to string, dropTarget list) string {
	t := longTarget(db, from)
	if !expressible(to) {
		return ""
	}
	if acceptedByHelpers(from) && acceptedByHelpers(to) {
		return t.call(t.collection, "renameCollection", append(list{text(to)}, dropTarget...)...)
	}
	command := object{{"renameCollection", text(db + "." + from)}, {"to", text(db + "." + to)}}
	if len(dropTarget) > 0 {
		command = append(command, field{"dropTarget", boolean(true)})
	}
	return t.call("db", "adminCommand", command)
}

// DropDatabase returns the statement that drops a database with its collections.
func DropDatabase(db string) string {
	t := longTarget(db, "any")
	return t.call(t.db, "dropDatabase")
}
