package migration

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/schema"
)

// sinceSix says what older servers do not take.
const sinceSix = "needs a server from 6.0 on"

// changeOptions leads from one collection's options to another's by collMod. It returns
// the names of the options that no collMod can change.
func changeOptions(ns schema.Namespace, from, to schema.Definition) (script Script, fixed []string) {
	var parameters bson.D
	var warning string
	for _, key := range schema.Differing(from.Options, to.Options) {
		parameter, ok := schema.OptionParameter(key, from.Options, to.Options)
		if !ok {
			fixed = append(fixed, key)
			continue
		}
		parameters = append(parameters, parameter)
		if takesDocuments(key, from.Options, to.Options) {
			warning = "DATA MAY GO: " + mongosh.Quote(ns.String()) + " keeps fewer documents by its new " + key
		}
	}
	if len(parameters) == 0 {
		return nil, fixed
	}
	s := modify(ns, parameters)
	if warning != "" {
		s.Warning, s.Destroys = warning, true
	}
	if slices.ContainsFunc(parameters, func(p bson.E) bool { return p.Key == "cappedSize" || p.Key == "cappedMax" }) {
		s.Warning = strings.TrimPrefix(s.Warning+"; "+sinceSix, "; ")
	}
	return Script{s}, fixed
}

// takesDocuments reports whether a limit gets lower, or comes where there was none.
func takesDocuments(key string, from, to bson.Raw) bool {
	switch key {
	case "expireAfterSeconds", "size", "max":
	default:
		return false
	}
	after, ok := to.Lookup(key).AsInt64OK()
	if !ok {
		return false
	}
	before, ok := from.Lookup(key).AsInt64OK()
	return !ok || after < before
}
