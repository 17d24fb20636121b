package detector

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
)

// sameOptions says whether two sets of options make the same collection or view. What
// a server lists and another leaves out (versions, defaults, the order of fields) makes
// no difference: a definition is what a user would have to type for it.
func sameOptions(kind Kind, a, b bson.Raw) bool {
	statement := mongosh.CreateCollection
	if kind == KindView {
		statement = mongosh.CreateView
	}
	return same(a, b, func(options bson.Raw) string { return statement("db", "collection", options) })
}

// sameIndex does the same for two index specs.
func sameIndex(a, b bson.Raw) bool {
	return same(a, b, func(spec bson.Raw) string { return mongosh.CreateIndex("db", "collection", spec) })
}

func same(a, b bson.Raw, statement func(bson.Raw) string) bool {
	a, b = normalized(a), normalized(b)
	if string(a) == string(b) {
		return true
	}
	left, right := statement(a), statement(b)
	return left != "" && left == right
}

// normalized sorts the fields of a definition, which have no order that means anything,
// and leaves out those that say what is so without them.
func normalized(doc bson.Raw) bson.Raw {
	elems, err := doc.Elements()
	if err != nil {
		return doc
	}
	elems = slices.DeleteFunc(elems, func(el bson.RawElement) bool { return saysNothing(el.Key(), el.Value()) })
	slices.SortFunc(elems, func(a, b bson.RawElement) int { return strings.Compare(a.Key(), b.Key()) })
	sorted := make(bson.D, len(elems))
	for i, el := range elems {
		sorted[i] = bson.E{Key: el.Key(), Value: el.Value()}
	}
	raw, err := marshal(sorted)
	if err != nil {
		return doc
	}
	return raw
}

func saysNothing(key string, value bson.RawValue) bool {
	text, _ := value.StringValueOK()
	doc, isDocument := value.DocumentOK()
	switch key {
	case "validationLevel":
		return text == "strict"
	case "validationAction":
		return text == "error"
	case "validator", "collation":
		return isDocument && len(doc) <= len(bson.Raw{5, 0, 0, 0, 0})
	case "changeStreamPreAndPostImages":
		return isDocument && !truthy(doc.Lookup("enabled"))
	case "unique", "sparse", "hidden", "prepareUnique", "background", "capped", "recordPreImages":
		return !truthy(value)
	}
	return false
}

// Same says whether two definitions are of one collection or view and would be typed
// alike. A UUID that is not known differs from none.
func (d Definition) Same(other Definition) bool {
	if d.Kind != other.Kind || d.Temporary != other.Temporary || len(d.Indexes) != len(other.Indexes) {
		return false
	}
	if d.UUID != other.UUID && !d.UUID.IsZero() && !other.UUID.IsZero() {
		return false
	}
	for _, spec := range d.Indexes {
		if found := other.Index(specName(spec)); found == nil || !sameIndex(spec, found) {
			return false
		}
	}
	return sameOptions(d.Kind, d.Options, other.Options)
}
