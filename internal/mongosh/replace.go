package mongosh

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Definition is a collection's options, nil for none, and its index specs, with or without the
// index on _id.
type Definition struct {
	Options bson.Raw
	Indexes []bson.Raw
}

// ReplaceCollection returns the statements, on one line, that drop and recreate a collection.
func ReplaceCollection(db, coll string, after Definition) string {
	stored, _ := parse(after.Options)
	_, collated := stored.get("collation")
	statements := []string{
		DropCollection(db, coll, after.Options),
		CreateCollection(db, coll, after.Options),
	}
	for _, spec := range after.Indexes {
		if isIDIndex(spec) {
			continue
		}
		if collated {
			spec = WithSimpleCollation(spec)
		}
		statements = append(statements, CreateIndex(db, coll, spec))
	}
	for _, s := range statements {
		if s == "" {
			return ""
		}
	}
	return strings.Join(statements, "; ")
}

func isIDIndex(spec bson.Raw) bool {
	fields, _ := parse(spec)
	name, _ := fields.get("name")
	_, clustered := fields.get("clustered")
	return isString(name, "_id_") || clustered
}
