package mongosh

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// minimalCollation leaves out of a stored collation what the server fills in
// by itself: the version of ICU, and every field that has the default. The
// defaults hold for every locale that a server of 4.4 to 6.0 knows but fr_CA,
// whose accents go backwards. A locale with a keyword (fr_CA@collation=search)
// has defaults of its own, so that everything is kept.
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
