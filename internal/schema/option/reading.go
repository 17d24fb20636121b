package option

import (
	"math"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
)

// Reading is how servers convert the value of an option. Oplog entries contain the value that the
// driver sent; listings, from 5.0 on, the converted value.
type Reading int

const (
	// AsWritten: the value is not converted, or it is converted before the entry is written.
	AsWritten Reading = iota
	// Bool: any number except 0 is true, and up to 4.4 any value except null.
	Bool
	// Integer: any number, truncated to an integer.
	Integer
	// Double: any number, as a double. 5.0 lists NaN as 0.
	Double
	// Expiry: seconds, limited to 32 bits. 5.0 reads NaN as 0, 6.0 as 2147483647 (never).
	Expiry
	// CappedSize: bytes, rounded up to a multiple of 256. Up to 5.0 a size of 0 is accepted and
	// listed; it means 4096 bytes.
	CappedSize
	// String: 4.4 accepts an empty string for the default.
	String
)

const (
	cappedUnit = 256
	cappedZero = 4096
)

// Listed returns the distinct values that servers list for a value, the newest version first.
func (o Option) Listed(v bson.RawValue) []bson.RawValue {
	number, isNumber := number(v)
	switch {
	case o.Reading == Bool:
		return []bson.RawValue{boolean(rawdoc.Truthy(v))}
	case o.Reading == String:
		if off, ok := o.OffValue(); ok && isText(v, "") {
			return []bson.RawValue{value(off)}
		}
	case !isNumber:
	case o.Reading == Integer:
		return []bson.RawValue{whole(number)}
	case o.Reading == Double && math.IsNaN(number):
		return []bson.RawValue{value(number), value(0.0)}
	case o.Reading == Double:
		return []bson.RawValue{value(number)}
	case o.Reading == Expiry && math.IsNaN(number):
		return []bson.RawValue{value(int32(math.MaxInt32)), value(int32(0))}
	case o.Reading == Expiry:
		return []bson.RawValue{whole(min(number, math.MaxInt32))}
	case o.Reading == CappedSize && isZero(number):
		return []bson.RawValue{whole(cappedZero), whole(0)}
	case o.Reading == CappedSize:
		return []bson.RawValue{whole(math.Ceil(math.Trunc(number)/cappedUnit) * cappedUnit)}
	}
	return []bson.RawValue{v}
}

// Newest returns the value that the newest supported version lists for a value.
func (o Option) Newest(v bson.RawValue) bson.RawValue { return o.Listed(v)[0] }

// Accepted returns the value for a statement: the newest supported version accepts it, and every
// server reads it like the given one.
func (o Option) Accepted(v bson.RawValue) bson.RawValue {
	n, isNumber := number(v)
	switch {
	case isNumber && o.Reading == CappedSize && !isZero(n):
		return whole(n) // the server rounds it
	case isNumber && o.Reading == Expiry && math.IsNaN(n):
		return value(n) // 4.4 and 5.0 refuse the value as which 6.0 reads it
	}
	return o.Newest(v)
}

// Refused reports whether every supported version refuses a value for a new object. Up to
// 5.0 a collMod could set it.
func (o Option) Refused(v bson.RawValue) bool {
	n, ok := o.Int64(v)
	return o.Reading == Expiry && ok && n < 0
}

// Oldest returns the value that the oldest version with a conversion lists for a value.
func (o Option) Oldest(v bson.RawValue) bson.RawValue {
	listed := o.Listed(v)
	return listed[len(listed)-1]
}

// Int64 converts a number as the newest version does, without rounding a capped size.
func (o Option) Int64(v bson.RawValue) (int64, bool) {
	if o.Reading == CappedSize {
		return o.Accepted(v).AsInt64OK()
	}
	return o.Newest(v).AsInt64OK()
}

// Same reports whether a supported version lists the same value for both, or one for the other.
func (o Option) Same(a, b bson.RawValue) bool {
	for _, left := range o.Listed(a) {
		for _, right := range o.Listed(b) {
			if left.Equal(right) {
				return true
			}
		}
	}
	return false
}

// isZero reports whether the integer part of a number is 0.
func isZero(f float64) bool { return math.IsNaN(f) || math.Trunc(f) == 0 }

// number reads a number of any type.
func number(v bson.RawValue) (float64, bool) {
	if d, ok := v.Decimal128OK(); ok {
		f, err := strconv.ParseFloat(d.String(), 64)
		return f, err == nil
	}
	return v.AsFloat64OK()
}

// whole returns a number without its fraction, an int32 where it fits.
func whole(f float64) bson.RawValue {
	switch {
	case math.IsNaN(f):
		return value(int32(0))
	case f >= math.MaxInt64:
		return value(int64(math.MaxInt64))
	case f <= math.MinInt64:
		return value(int64(math.MinInt64))
	}
	n := int64(f)
	if n == int64(int32(n)) {
		return value(int32(n))
	}
	return value(n)
}

func boolean(b bool) bson.RawValue { return value(b) }

// value encodes one of the types above, which cannot fail.
func value(v any) bson.RawValue {
	kind, data, err := bson.MarshalValue(v)
	if err != nil {
		return bson.RawValue{Type: bson.TypeNull}
	}
	return bson.RawValue{Type: kind, Value: data}
}
