package history

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/terminal"
)

// Lines returns a document in human-readable form: one line per field; the fields of a value
// that is too long for a line are indented below it.
func Lines(doc bson.Raw, width int) []string { return fieldLines(doc, "", width) }

func fieldLines(doc bson.Raw, indent string, width int) []string {
	elems, err := doc.Elements()
	if err != nil {
		return []string{indent + "(not valid BSON)"}
	}
	var lines []string
	for _, el := range elems {
		lines = append(lines, valueLines(key(el.Key())+": ", el.Value(), indent, width)...)
	}
	return lines
}

func valueLines(name string, v bson.RawValue, indent string, width int) []string {
	one := indent + name + inline(v)
	nested, array := parts(v)
	if terminal.Width(one) <= width || nested == nil || len(indent) > width/2 {
		return []string{one}
	}
	lines := []string{indent + strings.TrimRight(name, " ")}
	if !array {
		return append(lines, fieldLines(nested, indent+"  ", width)...)
	}
	elems, err := nested.Elements()
	if err != nil {
		return []string{one}
	}
	for _, el := range elems {
		lines = append(lines, valueLines("- ", el.Value(), indent+"  ", width)...)
	}
	return lines
}

// parts returns the elements of a document or an array, and whether it is an array.
func parts(v bson.RawValue) (nested bson.Raw, array bool) {
	if doc, ok := v.DocumentOK(); ok {
		return doc, false
	}
	if a, ok := v.ArrayOK(); ok {
		return bson.Raw(a), true
	}
	return nil, false
}

// inline returns a value on one line, integers of any type without a constructor.
func inline(v bson.RawValue) string {
	if nested, array := parts(v); nested != nil {
		elems, err := nested.Elements()
		if err != nil {
			return "(not valid BSON)"
		}
		out := make([]string, len(elems))
		for i, el := range elems {
			out[i] = inline(el.Value())
			if !array {
				out[i] = key(el.Key()) + ": " + out[i]
			}
		}
		if array {
			return "[" + strings.Join(out, ", ") + "]"
		}
		return "{" + strings.Join(out, ", ") + "}"
	}
	if f, ok := v.AsFloat64OK(); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 && v.Type != bson.TypeDecimal128 {
		return strconv.FormatInt(int64(f), 10)
	}
	// An inexact text is sufficient for display.
	text, _ := mongosh.Literal(v)
	return text
}

func key(name string) string {
	plain := name != "" && (name[0] < '0' || name[0] > '9') && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '$' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if plain {
		return name
	}
	return mongosh.Quote(name)
}

// definitionLines returns a whole definition, with options and indexes sorted by name.
func definitionLines(d schema.Definition, width int) []string {
	lines := append([]string{string(d.Kind)}, Lines(byKey(d.Options), width)...)
	specs := slices.Clone(d.Indexes)
	slices.SortFunc(specs, func(a, b bson.Raw) int { return strings.Compare(indexName(a), indexName(b)) })
	for _, spec := range specs {
		lines = append(lines, "index "+terminal.Escape(indexName(spec)))
		lines = append(lines, fieldLines(byKey(spec, "name", "v"), "  ", width)...)
	}
	return lines
}

func indexName(spec bson.Raw) string {
	name, _ := spec.Lookup("name").StringValueOK()
	return name
}

// byKey sorts fields by name, without the excepted ones.
func byKey(doc bson.Raw, except ...string) bson.Raw {
	elems, err := doc.Elements()
	if err != nil {
		return doc
	}
	elems = slices.DeleteFunc(elems, func(el bson.RawElement) bool { return slices.Contains(except, el.Key()) })
	slices.SortStableFunc(elems, func(a, b bson.RawElement) int { return strings.Compare(a.Key(), b.Key()) })
	fields := bson.D{}
	for _, el := range elems {
		fields = append(fields, bson.E{Key: el.Key(), Value: el.Value()})
	}
	out, err := bson.Marshal(fields)
	if err != nil {
		return doc
	}
	return out
}
