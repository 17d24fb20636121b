package schema

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// EquivalentIdentity reports whether two definitions are of one collection or view and would be typed
// alike. A UUID that is not known differs from none.
func (d Definition) EquivalentIdentity(other Definition) bool {
	sameUUID := d.UUID == other.UUID || d.UUID.IsZero() || other.UUID.IsZero()
	return sameUUID && d.Temporary == other.Temporary && d.Equivalent(other)
}

// Equivalent reports whether a user would have to type the same for both: what a server lists
// and another leaves out (versions, defaults, the order of options, the type of a whole
// number) makes no difference. Nor does the UUID.
func (d Definition) Equivalent(other Definition) bool {
	if d.Kind != other.Kind || len(d.Indexes) != len(other.Indexes) {
		return false
	}
	for _, spec := range d.Indexes {
		if found := other.Index(IndexName(spec)); found == nil || !EquivalentIndex(spec, found) {
			return false
		}
	}
	return EquivalentOptions(d.Options, other.Options)
}

// EquivalentOptions reports whether two sets of options of a collection or view would
// be typed alike.
func EquivalentOptions(a, b bson.Raw) bool {
	return same(normalized(a, option.Collection), normalized(b, option.Collection), func(options bson.Raw) string {
		if _, err := options.LookupErr("viewOn"); err == nil {
			return mongosh.CreateView("db", "view", options)
		}
		return mongosh.CreateCollection("db", "collection", options)
	})
}

// EquivalentIndex reports whether two index specs would be typed alike, but for some fields.
func EquivalentIndex(a, b bson.Raw, but ...string) bool {
	return same(normalized(a, option.Index, but...), normalized(b, option.Index, but...), func(spec bson.Raw) string {
		return mongosh.CreateIndex("db", "collection", spec)
	})
}

// same compares what would be typed, and what no statement can say as it is.
func same(a, b bson.Raw, statement func(bson.Raw) string) bool {
	if string(a) == string(b) {
		return true
	}
	left, right := statement(a), statement(b)
	return left != "" && left == right
}

// table finds the row of an option: option.Collection or option.Index.
type table func(name string) option.Option

// normalized sorts the fields of a definition, whose order has no meaning, and leaves
// out those that mean the same as no value, and those named.
func normalized(doc bson.Raw, rows table, but ...string) bson.Raw {
	elems, err := doc.Elements()
	if err != nil {
		return doc
	}
	elems = slices.DeleteFunc(elems, func(el bson.RawElement) bool {
		return rows(el.Key()).IsDefault(el.Value()) || slices.Contains(but, el.Key())
	})
	slices.SortFunc(elems, func(a, b bson.RawElement) int { return strings.Compare(a.Key(), b.Key()) })
	sorted := make(bson.D, len(elems))
	for i, el := range elems {
		sorted[i] = bson.E{Key: el.Key(), Value: el.Value()}
	}
	raw, err := rawdoc.Marshal(sorted)
	if err != nil {
		return doc
	}
	return raw
}

// DifferingOptions lists, by name, the options in which two collections or views differ.
func DifferingOptions(before, after bson.Raw) []string {
	return differing(before, after, option.Collection)
}

// DifferingIndex lists, by name, the fields in which two index specs differ.
func DifferingIndex(before, after bson.Raw) []string {
	return differing(before, after, option.Index)
}

func differing(before, after bson.Raw, rows table) []string {
	a, b := normalized(before, rows), normalized(after, rows)
	var keys []string
	for _, el := range elements(b) {
		if old, err := a.LookupErr(el.Key()); err != nil || !sameValue(el.Key(), old, el.Value()) {
			keys = append(keys, el.Key())
		}
	}
	for _, el := range elements(a) {
		if _, err := b.LookupErr(el.Key()); err != nil {
			keys = append(keys, el.Key())
		}
	}
	slices.Sort(keys)
	return keys
}

func sameValue(key string, a, b bson.RawValue) bool {
	if a.Equal(b) {
		return true
	}
	one, oneErr := rawdoc.Marshal(bson.D{{Key: key, Value: a}})
	other, otherErr := rawdoc.Marshal(bson.D{{Key: key, Value: b}})
	return oneErr == nil && otherErr == nil && EquivalentOptions(one, other)
}

// elements returns the fields of a document that was assembled here, and is well-formed.
func elements(doc bson.Raw) []bson.RawElement {
	elems, err := doc.Elements()
	if err != nil {
		return nil
	}
	return elems
}
