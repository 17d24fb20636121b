package detector

import (
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// without copies a document less some of its fields.
func without(doc bson.Raw, names ...string) (bson.Raw, error) {
	return edit(doc, func(key string, value any) (any, bool) { return value, !slices.Contains(names, key) })
}

// edit copies a document, field by field as keep decides.
func edit(doc bson.Raw, keep func(key string, value any) (any, bool)) (bson.Raw, error) {
	elems, err := doc.Elements()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	kept := bson.D{}
	for _, el := range elems {
		if v, ok := keep(el.Key(), el.Value()); ok {
			kept = append(kept, bson.E{Key: el.Key(), Value: v})
		}
	}
	return marshal(kept)
}

// with copies a document with a field set: in its place, or at the end.
func with(doc bson.Raw, key string, value any) (bson.Raw, error) {
	if _, err := doc.LookupErr(key); err == nil {
		return edit(doc, func(k string, old any) (any, bool) {
			if k == key {
				return value, true
			}
			return old, true
		})
	}
	elems, err := doc.Elements()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	all := make(bson.D, 0, len(elems)+1)
	for _, el := range elems {
		all = append(all, bson.E{Key: el.Key(), Value: el.Value()})
	}
	return marshal(append(all, bson.E{Key: key, Value: value}))
}

func marshal(doc bson.D) (bson.Raw, error) {
	raw, err := bson.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return raw, nil
}

// truthy reads a flag that servers write as a boolean or a number.
func truthy(v bson.RawValue) bool {
	if b, ok := v.BooleanOK(); ok {
		return b
	}
	n, ok := v.AsInt64OK()
	return ok && n != 0
}

// documents reads an array of documents.
func documents(v bson.RawValue) ([]bson.Raw, error) {
	array, ok := v.ArrayOK()
	if !ok {
		return nil, errMalformed
	}
	values, err := array.Values()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	docs := make([]bson.Raw, len(values))
	for i, v := range values {
		if docs[i], ok = v.DocumentOK(); !ok {
			return nil, errMalformed
		}
	}
	return docs, nil
}
