package mongosh

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema/option"
)

// indexDefinition is an index as a user would have specified it.
type indexDefinition struct {
	name    string
	key     object
	options object // without the name
}

// minimalIndex reads a stored index spec. ok is false if it is malformed, lacks a key or a name,
// or has a value that createIndex does not accept.
func minimalIndex(spec bson.Raw) (def indexDefinition, ok bool) {
	fields, ok := parse(spec)
	if !ok {
		return def, false
	}
	name, _ := fields.get("name")
	def.name, ok = name.StringValueOK()
	key, _ := fields.get("key")
	stored, isKey := nested(key)
	if !ok || !isKey || def.name == "" || len(stored) == 0 {
		return def, false
	}
	for _, f := range fields {
		if option.Index(f.key).Refused(f.stored()) {
			return def, false
		}
	}
	def.key = indexKey(stored, weightsOf(fields))
	def.options = indexOptions(fields, stored)
	return def, true
}

// indexKey converts the stored form of a text index, _fts and _ftsx with the fields in weights,
// to the user's fields.
func indexKey(stored, weights object) object {
	var key object
	for _, f := range stored {
		v := f.stored()
		switch {
		case f.key == "_fts" && len(weights) > 0 && isString(v, "text"):
			for _, w := range weights {
				key = append(key, field{w.key, text("text")})
			}
		case f.key == "_ftsx" && len(weights) > 0:
		default:
			key = append(key, field{f.key, relax(v)})
		}
	}
	return key
}

func weightsOf(spec object) object {
	v, _ := spec.get("weights")
	weights, ok := nested(v)
	if !ok {
		return nil
	}
	return weights
}

// indexOptions returns the options without those that the server adds or ignores.
func indexOptions(spec, key object) object {
	var options object
	for _, f := range spec {
		v := f.stored()
		row := option.Index(f.key)
		if row.Origin == option.Server || isImplied(row, v, key) {
			continue
		}
		switch f.key {
		case "weights":
			if heavy := heavyFields(v); heavy != nil {
				options = append(options, field{f.key, heavy})
			}
		case "collation":
			options = append(options, field{f.key, minimalCollation(v)})
		default:
			options = append(options, field{f.key, relax(row.Accepted(v))})
		}
	}
	return options
}

// isImplied reports whether the value is the default for an index with this key.
func isImplied(row option.Option, v bson.RawValue, key object) bool {
	if row.ImpliedBy != "" && !key.holds(row.ImpliedBy) {
		return false
	}
	if s, ok := row.Implied.(string); ok {
		return isString(v, s)
	}
	n, ok := row.Implied.(int)
	return ok && isNumber(row.Accepted(v), int64(n))
}

// holds reports whether one of the key's fields has this kind.
func (o object) holds(kind string) bool {
	for _, f := range o {
		if isString(f.stored(), kind) {
			return true
		}
	}
	return false
}

// heavyFields returns the weights that are not 1; nil if all are.
func heavyFields(weights bson.RawValue) node {
	fields, ok := nested(weights)
	if !ok {
		return raw(weights)
	}
	var heavy object
	for _, f := range fields {
		if v := f.stored(); !isNumber(v, 1) {
			heavy = append(heavy, field{f.key, relax(v)})
		}
	}
	if heavy == nil {
		return nil
	}
	return heavy
}
