package mongosh

import "strings"

// DB is the expression for a database, from wherever the shell is:
// db.getSiblingDB('banking_db'). mongosh takes every name that a server does;
// early versions of 2 refuse those that every JavaScript object has a property
// by, such as constructor.
func DB(name string) string {
	return "db.getSiblingDB(" + Quote(name) + ")"
}

// Collection is the expression for a collection, from wherever the shell is:
// db.getSiblingDB('banking_db').getCollection('payments'). mongosh refuses
// names with a $, which old servers allow; the statements of this package then
// go by runCommand.
func Collection(db, coll string) string {
	return DB(db) + getCollection(coll)
}

// ShortCollection is the expression for a collection of the database that the
// shell is in: db.payments where that works, else db.getCollection('…').
func ShortCollection(coll string) string {
	if isIdentifier(coll) && !isMember(coll) && coll[0] != '_' && !strings.Contains(coll, "$") {
		return "db." + coll
	}
	return "db" + getCollection(coll)
}

func getCollection(coll string) string {
	return ".getCollection(" + Quote(coll) + ")"
}

// acceptedByHelpers reports whether mongosh's getCollection accepts the name.
func acceptedByHelpers(coll string) bool {
	return coll != "" && !strings.ContainsAny(coll, "$\x00")
}
