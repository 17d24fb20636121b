package schema

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// EquivalentIdentity reports whether two definitions are equivalent and describe the same
// collection or view: same UUID, both temporary or neither. An unknown UUID matches any.
func (d Definition) EquivalentIdentity(other Definition) bool {
	sameUUID := d.UUID == other.UUID || d.UUID.IsZero() || other.UUID.IsZero()
	return sameUUID && d.Temporary == other.Temporary && d.Equivalent(other)
}

// Equivalent reports whether any supported server version could list one definition for the
// other. An oplog entry holds values as the driver sent them; a listing returns them as the
// server interpreted them, and server versions differ in that: index versions, defaults, the
// order of options, numbers for booleans, fractions of seconds. ddltail has no other
// definition of equality. The UUID is not compared.
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

// EquivalentOptions is Equivalent for the options of a collection or view.
func EquivalentOptions(a, b bson.Raw) bool {
	return equivalent(a, b, option.Collection, func(options bson.Raw) string {
		if _, err := options.LookupErr("viewOn"); err == nil {
			return mongosh.CreateView("db", "view", options)
		}
		return mongosh.CreateCollection("db", "collection", options)
	}, omitted(a, b)...)
}

// omitted lists the options that versions written by earlier releases lack: the storageEngine of a
// time series. No collMod changes it.
func omitted(a, b bson.Raw) []string {
	_, aErr := a.LookupErr("storageEngine")
	_, bErr := b.LookupErr("storageEngine")
	if _, err := a.LookupErr("timeseries"); err == nil && (aErr == nil) != (bErr == nil) {
		return []string{"storageEngine"}
	}
	return nil
}

// EquivalentIndex is Equivalent for two index specs, without the ignored fields.
func EquivalentIndex(a, b bson.Raw, ignored ...string) bool {
	return equivalent(a, b, option.Index, func(spec bson.Raw) string {
		return mongosh.CreateIndex("db", "collection", spec)
	}, ignored...)
}

// equivalent compares two documents as the newest version lists them, then as the oldest
// does: byte by byte, and by the mongosh statements that create them where those exist.
func equivalent(a, b bson.Raw, rows table, statement func(bson.Raw) string, ignored ...string) bool {
	for _, f := range []form{option.Option.Newest, option.Option.Oldest} {
		one, other := normalized(a, rows, f, ignored...), normalized(b, rows, f, ignored...)
		if string(one) == string(other) {
			return true
		}
		if left := statement(one); left != "" && left == statement(other) {
			return true
		}
	}
	return false
}

// form returns a value as a server version lists it, or as it was written.
type form func(option.Option, bson.RawValue) bson.RawValue

// table finds the row of an option: option.Collection or option.Index.
type table func(name string) option.Option

// normalized returns the fields of a definition in a form, sorted by name because their
// order has no meaning, without defaults and ignored fields.
func normalized(doc bson.Raw, rows table, f form, ignored ...string) bson.Raw {
	elems, err := doc.Elements()
	if err != nil {
		return doc
	}
	elems = slices.DeleteFunc(elems, func(el bson.RawElement) bool {
		return rows(el.Key()).IsDefault(el.Value()) || slices.Contains(ignored, el.Key())
	})
	slices.SortFunc(elems, func(a, b bson.RawElement) int { return strings.Compare(a.Key(), b.Key()) })
	sorted := make(bson.D, len(elems))
	for i, el := range elems {
		sorted[i] = bson.E{Key: el.Key(), Value: f(rows(el.Key()), el.Value())}
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

// elements returns the fields of a document that this package assembled and that is
// therefore well-formed.
func elements(doc bson.Raw) []bson.RawElement {
	elems, err := doc.Elements()
	if err != nil {
		return nil
	}
	return elems
}
