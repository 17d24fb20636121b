package mongosh

import (
	"encoding/binary"
	"slices"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// node is something that a writer can write: a stored value, or a part of a statement.
type node interface{ write(w *writer) }

type (
	// raw is a BSON value with its type.
	raw bson.RawValue
	// object is a document.
	object []field
	// list is an array.
	list []node
	// text is a string.
	text string
	// boolean is true or false.
	boolean bool
	// integer is a number whose type does not matter.
	integer int64
)

// field is an element of a document.
type field struct {
	key   string
	value node
}

func (v raw) write(w *writer)     { w.value(bson.RawValue(v)) }
func (o object) write(w *writer)  { w.object(o) }
func (s text) write(w *writer)    { w.string(string(s)) }
func (b boolean) write(w *writer) { w.text(strconv.FormatBool(bool(b))) }
func (n integer) write(w *writer) { w.text(strconv.FormatInt(int64(n), 10)) }

func (l list) write(w *writer) {
	w.text("[")
	for i, n := range l {
		if i > 0 {
			w.text(", ")
		}
		n.write(w)
	}
	w.text("]")
}

// parse splits a document. ok is false if it is malformed; the fields read until then are
// included.
func parse(doc bson.Raw) (fields object, ok bool) {
	if !ends(doc) {
		return nil, false
	}
	elements, err := doc.Elements()
	for _, e := range elements {
		key, kerr := e.KeyErr()
		value, verr := e.ValueErr()
		if kerr != nil || verr != nil {
			return fields, false
		}
		fields = append(fields, field{key, raw(value)})
	}
	return fields, err == nil
}

// nested splits a value that is a document.
func nested(v bson.RawValue) (fields object, ok bool) {
	doc, ok := v.DocumentOK()
	if !ok {
		return nil, false
	}
	return parse(doc)
}

// ends reports whether the document has its declared length and ends with a zero byte, which the
// driver does not check.
func ends(doc bson.Raw) bool {
	return len(doc) >= 5 && int64(binary.LittleEndian.Uint32(doc)) == int64(len(doc)) && doc[len(doc)-1] == 0
}

// stored is the value of a field that was parsed.
func (f field) stored() bson.RawValue {
	v, _ := f.value.(raw)
	return bson.RawValue(v)
}

// find returns the first field with this name.
func (o object) find(key string) (node, bool) {
	i := slices.IndexFunc(o, func(f field) bool { return f.key == key })
	if i < 0 {
		return nil, false
	}
	return o[i].value, true
}

func (o object) has(key string) bool {
	_, ok := o.find(key)
	return ok
}

// get returns the value of the first field with this name.
func (o object) get(key string) (bson.RawValue, bool) {
	for _, f := range o {
		if f.key == key {
			return f.stored(), true
		}
	}
	return bson.RawValue{}, false
}
