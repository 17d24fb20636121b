// Package schema compares how all namespaces were defined at two moments and writes
// the mongosh script that makes a schema, or leads from one to another.
//
// It is pure: it does no I/O and knows no server.
package schema

import (
	"maps"
	"math"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/mongosh"
)

// Schema is how every namespace is defined at one moment.
type Schema map[detector.Namespace]detector.Definition

// Namespaces lists them in the order of their names.
func (s Schema) Namespaces() []detector.Namespace {
	return slices.SortedFunc(maps.Keys(s), compareNamespaces)
}

func compareNamespaces(a, b detector.Namespace) int { return strings.Compare(a.String(), b.String()) }

// Equal says whether two definitions are the same to whoever made them: what a
// server fills in, the order of options, and the type of a whole number are no
// difference. Nor is the UUID.
func Equal(a, b detector.Definition) bool {
	return a.Kind == b.Kind && len(a.Indexes) == len(b.Indexes) &&
		optionsText(a.Options) == optionsText(b.Options) && equalIndexes(a.Indexes, b.Indexes)
}

func equalIndexes(a, b []bson.Raw) bool {
	text := map[string]string{}
	for _, spec := range a {
		text[nameOf(spec)] = indexText(spec)
	}
	for _, spec := range b {
		if have, ok := text[nameOf(spec)]; !ok || have != indexText(spec) {
			return false
		}
	}
	return true
}

// optionsText is the statement that makes a collection of these options, which are
// equal where it is. Options that no statement can say are compared as they are.
func optionsText(options bson.Raw) string {
	canonical := sorted(options, isDefault)
	view, _ := canonical.Lookup("viewOn").StringValueOK()
	if view != "" {
		if text := mongosh.CreateView("d", "c", canonical); text != "" {
			return text
		}
	}
	if text := mongosh.CreateCollection("d", "c", canonical); text != "" {
		return text
	}
	return string(canonical)
}

func optionText(el bson.RawElement) string {
	one, err := bson.Marshal(bson.D{{Key: el.Key(), Value: el.Value()}})
	if err != nil {
		return string(el)
	}
	return optionsText(one)
}

func indexText(spec bson.Raw, except ...string) string {
	canonical := sorted(spec, func(el bson.RawElement) bool { return slices.Contains(except, el.Key()) })
	if text := mongosh.CreateIndex("d", "c", canonical); text != "" {
		return text
	}
	return string(canonical)
}

// isDefault names what collMod writes down and cannot remove again. A max of 2³¹-1 is
// how a server writes that a capped collection has none.
func isDefault(el bson.RawElement) bool {
	text, _ := el.Value().StringValueOK()
	switch el.Key() {
	case "validationLevel":
		return text == "strict"
	case "validationAction":
		return text == "error"
	case "max":
		limit, _ := el.Value().AsInt64OK()
		return limit == math.MaxInt32
	}
	return false
}

// sorted orders a document's own fields by their names and leaves some out. What is
// malformed is given back as it is.
func sorted(doc bson.Raw, leaveOut func(bson.RawElement) bool) bson.Raw {
	elems, err := doc.Elements()
	if err != nil {
		return doc
	}
	elems = slices.DeleteFunc(elems, leaveOut)
	slices.SortStableFunc(elems, func(a, b bson.RawElement) int { return strings.Compare(a.Key(), b.Key()) })
	fields := make(bson.D, len(elems))
	for i, el := range elems {
		fields[i] = bson.E{Key: el.Key(), Value: el.Value()}
	}
	out, err := bson.Marshal(fields)
	if err != nil {
		return doc
	}
	return out
}

func nameOf(spec bson.Raw) string {
	name, _ := spec.Lookup("name").StringValueOK()
	return name
}

func collated(options bson.Raw) bool {
	_, err := options.LookupErr("collation")
	return err == nil
}
