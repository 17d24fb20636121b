package mongosh

import "strings"

// DB returns the expression for a database, in any current database:
// db.getSiblingDB('banking_db'). mongosh accepts every name that a server does; early versions
// of 2 refuse names of properties of every JavaScript object, such as constructor.
func DB(name string) string {
	return "db.getSiblingDB(" + Quote(name) + ")"
}

// Collection returns the expression for a collection, in any current database:
// db.getSiblingDB('banking_db').getCollection('payments'). mongosh refuses names with a $, which
// old servers allow; the statements of this package then use runCommand.
func Collection(db, coll string) string {
	return DB(db) + getCollection(coll)
}

// ShortCollection returns the expression for a collection of the current database: db.payments if
// that is possible, else db.getCollection('…').
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
