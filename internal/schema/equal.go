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

// Equivalent reports whether any supported version could list one definition for the other.
// Entries keep what a driver sent; listings return what a server read, and each version
// reads and leaves out something else: versions, defaults, the order of options, numbers for
// booleans, fractions of seconds. Nothing else in ddltail decides that. The UUID makes no difference.
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

// EquivalentOptions does the same for the options of a collection or view.
func EquivalentOptions(a, b bson.Raw) bool {
	return equivalent(a, b, option.Collection, func(options bson.Raw) string {
		if _, err := options.LookupErr("viewOn"); err == nil {
			return mongosh.CreateView("db", "view", options)
		}
		return mongosh.CreateCollection("db", "collection", options)
	})
}

// EquivalentIndex does the same for two index specs, except for some fields.
func EquivalentIndex(a, b bson.Raw, but ...string) bool {
	return equivalent(a, b, option.Index, func(spec bson.Raw) string {
		return mongosh.CreateIndex("db", "collection", spec)
	}, but...)
}

// equivalent compares what the versions list, the newest first, by what would be typed; or
// as it is, where no statement can say it.
func equivalent(a, b bson.Raw, rows table, statement func(bson.Raw) string, but ...string) bool {
	for _, read := range []reading{option.Option.Newest, option.Option.Oldest} {
		one, other := normalized(a, rows, read, but...), normalized(b, rows, read, but...)
		if string(one) == string(other) {
			return true
		}
		if left := statement(one); left != "" && left == statement(other) {
			return true
		}
	}
	return false
}

// reading returns what a version lists for a value.
type reading func(option.Option, bson.RawValue) bson.RawValue

// table finds the row of an option: option.Collection or option.Index.
type table func(name string) option.Option

// normalized sorts the fields of a definition, whose order has no meaning, as a version
// lists them, and leaves out those that mean the same as no value, and those named.
func normalized(doc bson.Raw, rows table, read reading, but ...string) bson.Raw {
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
		sorted[i] = bson.E{Key: el.Key(), Value: read(rows(el.Key()), el.Value())}
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
	a, b := normalized(before, rows, asWritten), normalized(after, rows, asWritten)
	var keys []string
	for _, el := range elements(b) {
		if old, err := a.LookupErr(el.Key()); err != nil || !sameValue(rows(el.Key()), old, el.Value()) {
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

func asWritten(_ option.Option, v bson.RawValue) bson.RawValue { return v }

func sameValue(row option.Option, a, b bson.RawValue) bool {
	if a.Equal(b) || row.Same(a, b) {
		return true
	}
	one, oneErr := rawdoc.Marshal(bson.D{{Key: row.Name, Value: a}})
	other, otherErr := rawdoc.Marshal(bson.D{{Key: row.Name, Value: b}})
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
