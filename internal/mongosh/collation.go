package mongosh

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// minimalCollation removes from a stored collation what the server adds: the version of ICU, and
// every field that has its default. The defaults apply to every locale of servers 4.4 to 6.0
// except fr_CA, which has backwards: true. A locale with a keyword (fr_CA@collation=search) has
// other defaults, so that all fields are kept.
func minimalCollation(v bson.RawValue) node {
	fields, ok := nested(v)
	if !ok {
		return raw(v)
	}
	named, _ := fields.get("locale")
	locale, _ := named.StringValueOK()
	var kept object
	for _, f := range fields {
		value := f.stored()
		if f.key == "version" || !strings.Contains(locale, "@") && isCollationDefault(locale, f.key, value) {
			continue
		}
		kept = append(kept, field{f.key, relax(value)})
	}
	return kept
}

func isCollationDefault(locale, key string, v bson.RawValue) bool {
	switch key {
	case "caseLevel", "numericOrdering", "normalization":
		return isBool(v, false)
	case "backwards":
		return isBool(v, locale == "fr_CA")
	case "caseFirst":
		return isString(v, "off")
	case "strength":
		return isNumber(v, 3)
	case "alternate":
		return isString(v, "non-ignorable")
	case "maxVariable":
		return isString(v, "punct")
	}
	return false
}
