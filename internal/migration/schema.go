// Package migration compares how all namespaces were defined at two moments and writes
// the mongosh script that makes a schema, or leads from one to another.
//
// It is pure: it does no I/O and knows no server.
package migration

import (
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema"
)

// Schema is how every namespace is defined at one moment.
type Schema map[schema.Namespace]schema.Definition

// Namespaces lists them in the order of their names.
func (s Schema) Namespaces() []schema.Namespace {
	return slices.SortedFunc(maps.Keys(s), compareNamespaces)
}

func compareNamespaces(a, b schema.Namespace) int { return strings.Compare(a.String(), b.String()) }

func nameOf(spec bson.Raw) string {
	name, _ := spec.Lookup("name").StringValueOK()
	return name
}

func collated(options bson.Raw) bool {
	_, err := options.LookupErr("collation")
	return err == nil
}
