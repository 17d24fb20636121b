package mongosh

import (
	"strings"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// maxDepth bounds recursion. The server refuses documents nested deeper than
// 200 levels.
const maxDepth = 250

// Literal returns v as JavaScript that mongosh evaluates to the same BSON value, with its types.
// If exact is false there is no such text: the result is a readable approximation that must not
// be run.
//
// Exact means equal in every byte, with two exceptions: the options of a regular expression are
// sorted alphabetically, and every NaN is the same NaN.
func Literal(v bson.RawValue) (text string, exact bool) {
	var w writer
	w.value(v)
	return w.result()
}

// Document is Literal for a whole document.
func Document(doc bson.Raw) (text string, exact bool) {
	var w writer
	w.document(doc)
	return w.result()
}

// writer collects the text of literals. The zero value is ready for use.
type writer struct {
	b     strings.Builder
	depth int
	lossy bool // a value could not be expressed exactly
}

func (w *writer) result() (text string, exact bool) {
	return w.b.String(), !w.lossy
}

func (w *writer) text(s string) { w.b.WriteString(s) }

func (w *writer) string(s string) {
	if !utf8.ValidString(s) {
		w.lossy = true
	}
	w.text(Quote(s))
}

func (w *writer) document(doc bson.Raw) {
	fields, ok := parse(doc)
	if !ok {
		w.lossy = true
	}
	w.object(fields)
}

func (w *writer) object(fields object) {
	if w.depth >= maxDepth {
		w.lossy = true
		w.text("{}")
		return
	}
	w.depth++
	switch shapeOf(fields) {
	case plainObject:
		w.plain(fields)
	case orderedMap:
		w.text("new Map(")
		w.pairs(fields)
		w.text(")")
	case repeatedKeys:
		// A Map cannot have two entries with the same key, but the serializer calls its
		// method entries, which may return more.
		w.text("Object.assign(new Map(), {entries: Array.prototype.values.bind(")
		w.pairs(fields)
		w.text(")})")
	}
	w.depth--
}

func (w *writer) plain(fields object) {
	w.text("{")
	for i, f := range fields {
		if i > 0 {
			w.text(", ")
		}
		w.key(f.key)
		w.text(": ")
		f.value.write(w)
	}
	w.text("}")
}

func (w *writer) key(key string) {
	switch {
	case key == "__proto__":
		// Without brackets it would set the object's prototype.
		w.text("['__proto__']")
	case isIdentifier(key):
		w.text(key)
	default:
		w.string(key)
	}
}

func (w *writer) pairs(fields object) {
	w.text("[")
	for i, f := range fields {
		if i > 0 {
			w.text(", ")
		}
		w.text("[")
		w.string(f.key)
		w.text(", ")
		f.value.write(w)
		w.text("]")
	}
	w.text("]")
}

func (w *writer) array(array bson.RawArray) {
	values, err := array.Values()
	if err != nil || w.depth >= maxDepth {
		w.lossy = true
		w.text("[]")
		return
	}
	w.depth++
	w.text("[")
	for i, v := range values {
		if i > 0 {
			w.text(", ")
		}
		w.value(v)
	}
	w.text("]")
	w.depth--
}
