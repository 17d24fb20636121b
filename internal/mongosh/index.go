package mongosh

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema/option"
)

// CreateIndex returns the statement that creates an index with a spec from the catalog or the
// oplog:
//
//	db.getSiblingDB('banking_db').getCollection('transactions').createIndex({amount: 1}, {name: 'amount_idx'})
//
// Fields that the server adds are omitted. For a collection with a default collation see
// WithSimpleCollation.
func CreateIndex(db, coll string, spec bson.Raw) string {
	return longTarget(db, coll).createIndex(spec)
}

// ShortCreateIndex is CreateIndex for a shell that uses the database already:
//
//	db.transactions.createIndex({amount: 1}, {name: 'amount_idx'})
func ShortCreateIndex(coll string, spec bson.Raw) string {
	return shortTarget(coll).createIndex(spec)
}

func (t target) createIndex(spec bson.Raw) string {
	def, ok := minimalIndex(spec)
	if !ok {
		return ""
	}
	if acceptedByHelpers(t.name) && shapeOf(def.key) == plainObject && createIndexAccepts(def.options) {
		options := append(object{{"name", text(def.name)}}, def.options...)
		return t.call(t.collection, "createIndex", def.key, options)
	}
	index := append(object{{"key", def.key}, {"name", text(def.name)}}, def.options...)
	return t.command(object{{"createIndexes", text(t.name)}, {"indexes", list{index}}})
}

// createIndexAccepts reports whether mongosh's createIndex sends all options. Its driver silently
// drops unknown ones (v and prepareUnique among them), and sends an index key that is a Map as
// an empty document.
func createIndexAccepts(options object) bool {
	for _, f := range options {
		if !option.Index(f.key).Helper {
			return false
		}
	}
	return true
}

// DropIndex returns the statement that drops an index by its name. No statement is generated for
// the name "*", which means all indexes.
func DropIndex(db, coll, name string) string {
	if !expressible(name) || name == "*" {
		return ""
	}
	t := longTarget(db, coll)
	if acceptedByHelpers(coll) {
		return t.call(t.collection, "dropIndex", text(name))
	}
	return t.command(object{{"dropIndexes", text(coll)}, {"index", text(name)}})
}
