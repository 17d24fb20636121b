package mongosh

import (
	"go.mongodb.org/mongo-driver/v2/bson"
)

// indexDefinition is an index as its user would have asked for it.
type indexDefinition struct {
	name    string
	key     object
	options object // without the name
}

// minimalIndex reads a stored index spec. ok is false where it is malformed or
// lacks a key or a name.
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
	def.key = indexKey(stored, weightsOf(fields))
	def.options = indexOptions(fields, stored)
	return def, true
}

// indexKey turns the stored form of a text index, _fts and _ftsx with the
// fields in weights, back into the fields in their place.
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

// indexOptions leaves out what the server adds or no longer heeds.
func indexOptions(spec, key object) object {
	var options object
	for _, f := range spec {
		v := f.stored()
		if isIndexNoise(f.key) || isIndexDefault(f.key, v, key) {
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
			options = append(options, field{f.key, relax(v)})
		}
	}
	return options
}

// isIndexNoise names what is said elsewhere in the statement, what
// servers ignore or refuse today (ns, background, dropDups, clustered), and
// what a time series' bucket index carries for the server's own use.
func isIndexNoise(option string) bool {
	switch option {
	case "createIndexes", "key", "name", "ns", "background", "dropDups", "clustered", "originalSpec":
		return true
	}
	return false
}

func isIndexDefault(option string, v bson.RawValue, key object) bool {
	switch option {
	case "v":
		return isNumber(v, 2)
	case "default_language":
		return isString(v, "english") && key.holds("text")
	case "language_override":
		return isString(v, "language") && key.holds("text")
	case "textIndexVersion":
		return isNumber(v, 3) && key.holds("text")
	case "2dsphereIndexVersion":
		return isNumber(v, 3) && key.holds("2dsphere")
	}
	return false
}

// holds reports whether one of the key's fields is of that kind.
func (o object) holds(kind string) bool {
	for _, f := range o {
		if isString(f.stored(), kind) {
			return true
		}
	}
	return false
}

// heavyFields are the weights that are not 1, nil where all are.
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
