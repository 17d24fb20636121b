package migration

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// changeOptions plans the collMods that change one collection's options into another's. It returns
// the names of the options that collMod cannot change.
func changeOptions(ns schema.Namespace, from, to schema.Definition) (script Script, fixed []string) {
	var parameters bson.D
	var warning string
	for _, key := range schema.DifferingOptions(from.Options, to.Options) {
		parameter, ok := schema.OptionParameter(key, from.Options, to.Options)
		if !ok {
			fixed = append(fixed, key)
			continue
		}
		parameters = append(parameters, parameter)
		if row := option.Collection(key); row.Limit && lower(row, from.Options, to.Options) {
			warning = "DATA MAY BE LOST: " + mongosh.Quote(ns.String()) + " keeps fewer documents because of its new " + key
		}
	}
	if len(parameters) == 0 {
		return nil, fixed
	}
	s := modify(ns, parameters)
	if warning != "" {
		s.Warning, s.Destroys = warning, true
	}
	if since := newest(parameters); since != "" {
		s.Warning = strings.TrimPrefix(s.Warning+"; needs MongoDB "+since+" or later", "; ")
	}
	return Script{s}, fixed
}

// newest returns the oldest version that accepts all parameters; empty if every version does.
func newest(parameters bson.D) string {
	since := ""
	for _, p := range parameters {
		since = max(since, option.CollectionParameter(p.Key).Since)
	}
	return since
}

// lower reports whether a limit decreases, or is set for the first time.
func lower(limit option.Option, from, to bson.Raw) bool {
	after, ok := limit.Int64(to.Lookup(limit.Name))
	if !ok {
		return false
	}
	before, ok := limit.Int64(from.Lookup(limit.Name))
	return !ok || after < before
}
