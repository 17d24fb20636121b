package schema

import (
	"math"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/rawdoc"
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
	return same(Normalized(a), Normalized(b), func(options bson.Raw) string {
		if _, err := options.LookupErr("viewOn"); err == nil {
			return mongosh.CreateView("db", "view", options)
		}
		return mongosh.CreateCollection("db", "collection", options)
	})
}

// EquivalentIndex reports whether two index specs would be typed alike, but for some fields.
func EquivalentIndex(a, b bson.Raw, but ...string) bool {
	return same(Normalized(a, but...), Normalized(b, but...), func(spec bson.Raw) string {
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

// Normalized sorts the fields of a definition, which have no order that means anything,
// and leaves out those that say what is so without them, and those named.
func Normalized(doc bson.Raw, but ...string) bson.Raw {
	elems, err := doc.Elements()
	if err != nil {
		return doc
	}
	elems = slices.DeleteFunc(elems, func(el bson.RawElement) bool {
		return isDefault(el.Key(), el.Value()) || slices.Contains(but, el.Key())
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

// isDefault names what is so without being said. collMod writes down validationLevel
// and validationAction and cannot remove them again; a max of 2³¹-1 is how a server
// writes that a capped collection has none.
func isDefault(key string, value bson.RawValue) bool {
	text, _ := value.StringValueOK()
	doc, isDocument := value.DocumentOK()
	switch key {
	case "autoIndexId":
		// Servers keep what an old driver sent and, on a replica set, create _id_ whatever it
		// says; listings show it in part.
		return true
	case "validationLevel":
		return text == "strict"
	case "validationAction":
		return text == "error"
	case "max":
		limit, _ := value.AsInt64OK()
		return limit == math.MaxInt32
	case "validator", "collation":
		return isDocument && len(doc) <= len(bson.Raw{5, 0, 0, 0, 0})
	case "changeStreamPreAndPostImages":
		return isDocument && !rawdoc.Truthy(doc.Lookup("enabled"))
	case "unique", "sparse", "hidden", "prepareUnique", "background", "capped", "recordPreImages":
		return !rawdoc.Truthy(value)
	}
	return false
}

// Differing lists, by name, the fields in which two sets of options or two index specs
// differ.
func Differing(before, after bson.Raw) []string {
	a, b := Normalized(before), Normalized(after)
	var keys []string
	for _, el := range Elements(b) {
		if old, err := a.LookupErr(el.Key()); err != nil || !sameOption(el.Key(), old, el.Value()) {
			keys = append(keys, el.Key())
		}
	}
	for _, el := range Elements(a) {
		if _, err := b.LookupErr(el.Key()); err != nil {
			keys = append(keys, el.Key())
		}
	}
	slices.Sort(keys)
	return keys
}

func sameOption(key string, a, b bson.RawValue) bool {
	if a.Equal(b) {
		return true
	}
	one, oneErr := rawdoc.Marshal(bson.D{{Key: key, Value: a}})
	other, otherErr := rawdoc.Marshal(bson.D{{Key: key, Value: b}})
	return oneErr == nil && otherErr == nil && EquivalentOptions(one, other)
}

// Elements of a document that was made here, and is well-formed.
func Elements(doc bson.Raw) []bson.RawElement {
	elems, err := doc.Elements()
	if err != nil {
		return nil
	}
	return elems
}
