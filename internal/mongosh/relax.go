package mongosh

import (
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// maxExact is the largest integer up to which a double can represent every integer.
const maxExact = 1 << 53

// relax returns an integer without its type: {amount: 1} for the 1.0 of an old shell and the 1L
// of Java. It is used for values that the server reads as numbers: index directions, sizes,
// seconds. In users' expressions (validators, filters, pipelines) types are kept.
func relax(v bson.RawValue) node {
	if n, ok := wholeNumber(v); ok {
		return integer(n)
	}
	return raw(v)
}

func wholeNumber(v bson.RawValue) (int64, bool) {
	switch v.Type {
	case bson.TypeInt32:
		n, ok := v.Int32OK()
		return int64(n), ok
	case bson.TypeInt64:
		n, ok := v.Int64OK()
		return n, ok && n >= -maxExact && n <= maxExact
	case bson.TypeDouble:
		f, ok := v.DoubleOK()
		negativeZero := f == 0 && math.Signbit(f)
		whole := f == math.Trunc(f) && math.Abs(f) <= maxExact && !negativeZero
		if !ok || !whole {
			return 0, false
		}
		return int64(f), true
	}
	return 0, false
}

// relaxed relaxes a number, or the numbers in a document.
func relaxed(v bson.RawValue) node {
	fields, ok := nested(v)
	if !ok {
		return relax(v)
	}
	for i, f := range fields {
		fields[i].value = relax(f.stored())
	}
	return fields
}

func isNumber(v bson.RawValue, n int64) bool {
	got, ok := wholeNumber(v)
	return ok && got == n
}

func isString(v bson.RawValue, s string) bool {
	got, ok := v.StringValueOK()
	return ok && got == s
}

func isBool(v bson.RawValue, b bool) bool {
	got, ok := v.BooleanOK()
	return ok && got == b
}
