package mongosh

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema/option"
)

// ModifyCollection returns the statement for the parameters of a collMod, such as the o of its
// oplog entry. No statement is generated if all parameters are internal.
//
//	db.getSiblingDB('banking_db').runCommand({collMod: 'payments', index: {name: 'amount_idx', hidden: true}})
func ModifyCollection(db, coll string, changes bson.Raw) string {
	parameters, ok := collModParameters(changes)
	if !ok || len(parameters) == 0 {
		return ""
	}
	return longTarget(db, coll).command(append(object{{"collMod", text(coll)}}, parameters...))
}

func collModParameters(changes bson.Raw) (parameters object, ok bool) {
	fields, ok := parse(changes)
	if !ok {
		return nil, false
	}
	server := option.ServerParameters()
	for _, f := range fields {
		if f.key == "collMod" || slices.Contains(server, f.key) {
			continue
		}
		parameters = append(parameters, field{f.key, collModValue(f.key, f.stored())})
	}
	return parameters, true
}

// collModValue returns the value that the newest server accepts for a parameter.
func collModValue(parameter string, v bson.RawValue) node {
	switch parameter {
	case "index":
		fields, ok := nested(v)
		for i, f := range fields {
			fields[i].value = relax(option.Index(f.key).Accepted(f.stored()))
		}
		if ok {
			return fields
		}
	case "timeseries":
		return relaxed(v)
	}
	row := option.CollectionParameter(parameter)
	if row.Reading == option.AsWritten {
		return raw(v)
	}
	return relax(row.Accepted(v))
}

// ConvertToCapped returns the statement that converts a collection to capped; options are those
// afterwards.
func ConvertToCapped(db, coll string, options bson.Raw) string {
	return longTarget(db, coll).convertToCapped(options)
}

func (t target) convertToCapped(options bson.Raw) string {
	stored, ok := parse(options)
	size, has := stored.get("size")
	if !ok || !has {
		return ""
	}
	if acceptedByHelpers(t.name) {
		return t.call(t.collection, "convertToCapped", relax(size))
	}
	return t.command(object{{"convertToCapped", text(t.name)}, {"size", relax(size)}})
}
