// Package rawdoc copies raw BSON documents with fields added, replaced or removed.
package rawdoc

import (
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// ErrMalformed is wrapped by every error of this package: a document, or a value in
// it, does not have the expected shape.
var ErrMalformed = errors.New("not of the expected shape")

// Without copies a document without some of its fields.
func Without(doc bson.Raw, names ...string) (bson.Raw, error) {
	return Edit(doc, func(key string, value any) (any, bool) { return value, !slices.Contains(names, key) })
}

// Edit copies a document; keep replaces or removes each field.
func Edit(doc bson.Raw, keep func(key string, value any) (any, bool)) (bson.Raw, error) {
	elems, err := doc.Elements()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	kept := bson.D{}
	for _, el := range elems {
		if v, ok := keep(el.Key(), el.Value()); ok {
			kept = append(kept, bson.E{Key: el.Key(), Value: v})
		}
	}
	return Marshal(kept)
}

// With copies a document with a field set: at its position, or at the end.
func With(doc bson.Raw, key string, value any) (bson.Raw, error) {
	if _, err := doc.LookupErr(key); err == nil {
		return Edit(doc, func(k string, old any) (any, bool) {
			if k == key {
				return value, true
			}
			return old, true
		})
	}
	elems, err := doc.Elements()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	all := make(bson.D, 0, len(elems)+1)
	for _, el := range elems {
		all = append(all, bson.E{Key: el.Key(), Value: el.Value()})
	}
	return Marshal(append(all, bson.E{Key: key, Value: value}))
}

// Marshal encodes a document that was assembled here.
func Marshal(doc bson.D) (bson.Raw, error) {
	raw, err := bson.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return raw, nil
}

// Truthy converts a flag as servers do: any number except 0 (but including NaN) is true, and so is
// any other value except null.
func Truthy(v bson.RawValue) bool {
	switch v.Type {
	case 0, bson.TypeNull, bson.TypeUndefined:
		return false
	case bson.TypeBoolean:
		return v.Boolean()
	case bson.TypeDecimal128:
		d := v.Decimal128()
		n, _, err := d.BigInt()
		return err != nil || n.Sign() != 0 // NaN and infinity have no integer
	}
	f, ok := v.AsFloat64OK()
	return !ok || f != 0
}

// Documents reads an array of documents.
func Documents(v bson.RawValue) ([]bson.Raw, error) {
	array, ok := v.ArrayOK()
	if !ok {
		return nil, ErrMalformed
	}
	values, err := array.Values()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	docs := make([]bson.Raw, len(values))
	for i, v := range values {
		if docs[i], ok = v.DocumentOK(); !ok {
			return nil, ErrMalformed
		}
	}
	return docs, nil
}
