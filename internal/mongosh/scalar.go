package mongosh

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// maxDate is the last millisecond, on either side of 1970, of a JavaScript Date.
const maxDate = 8_640_000_000_000_000

// value writes any BSON value. Each writer reports whether v is a valid value of its type;
// truncated bytes are written as null.
func (w *writer) value(v bson.RawValue) {
	if !w.container(v) && !w.number(v) && !w.scalar(v) && !w.legacy(v) {
		w.lossy = true
		w.text("null")
	}
}

func (w *writer) container(v bson.RawValue) bool {
	switch v.Type {
	case bson.TypeEmbeddedDocument:
		doc, ok := v.DocumentOK()
		if ok {
			w.document(doc)
		}
		return ok
	case bson.TypeArray:
		array, ok := v.ArrayOK()
		if ok {
			w.array(array)
		}
		return ok
	}
	return false
}

// number preserves the four numeric types. mongosh sends a JavaScript number as an int32 if
// possible, and as a double otherwise.
func (w *writer) number(v bson.RawValue) bool {
	switch v.Type {
	case bson.TypeInt32:
		n, ok := v.Int32OK()
		w.textIf(ok, strconv.Itoa(int(n)))
		return ok
	case bson.TypeInt64:
		n, ok := v.Int64OK()
		w.textIf(ok, fmt.Sprintf("Long('%d')", n))
		return ok
	case bson.TypeDouble:
		f, ok := v.DoubleOK()
		w.textIf(ok, double(f))
		return ok
	case bson.TypeDecimal128:
		d, ok := v.Decimal128OK()
		if ok {
			w.decimal(d)
		}
		return ok
	}
	return false
}

// decimal writes the value as a string, which does not preserve every bit pattern.
func (w *writer) decimal(d bson.Decimal128) {
	if again, err := bson.ParseDecimal128(d.String()); err != nil || again != d {
		w.lossy = true
	}
	w.text("Decimal128('" + d.String() + "')")
}

func double(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		if f < 0 {
			return "-Infinity"
		}
		return "Infinity"
	case f == 0 && math.Signbit(f):
		return "-0"
	}
	if isInt32(f) {
		return "Double(" + strconv.FormatInt(int64(f), 10) + ")"
	}
	if size := math.Abs(f); size >= 1e-6 && size < 1e21 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'e', -1, 64)
}

func isInt32(f float64) bool {
	return f == math.Trunc(f) && f >= math.MinInt32 && f <= math.MaxInt32
}

func (w *writer) scalar(v bson.RawValue) bool {
	switch v.Type {
	case bson.TypeString:
		s, ok := v.StringValueOK()
		if ok {
			w.string(s)
		}
		return ok
	case bson.TypeBoolean:
		b, ok := v.BooleanOK()
		w.textIf(ok, strconv.FormatBool(b))
		return ok
	case bson.TypeNull:
		w.text("null")
		return true
	case bson.TypeObjectID:
		id, ok := v.ObjectIDOK()
		w.textIf(ok, "ObjectId('"+id.Hex()+"')")
		return ok
	case bson.TypeDateTime:
		ms, ok := v.DateTimeOK()
		w.date(ok, ms)
		return ok
	case bson.TypeBinary:
		subtype, data, ok := v.BinaryOK()
		w.textIf(ok, binData(subtype, data))
		return ok
	case bson.TypeTimestamp:
		t, i, ok := v.TimestampOK()
		w.textIf(ok, fmt.Sprintf("Timestamp({t: %d, i: %d})", t, i))
		return ok
	case bson.TypeMinKey:
		w.text("MinKey()")
		return true
	case bson.TypeMaxKey:
		w.text("MaxKey()")
		return true
	}
	return false
}

// legacy writes the types of scripts, and those that current drivers do not send.
func (w *writer) legacy(v bson.RawValue) bool {
	switch v.Type {
	case bson.TypeRegex:
		pattern, options, ok := v.RegexOK()
		if ok {
			w.regex(pattern, options)
		}
		return ok
	case bson.TypeJavaScript:
		code, ok := v.JavaScriptOK()
		if ok {
			w.text("Code(")
			w.string(code)
			w.text(")")
		}
		return ok
	case bson.TypeCodeWithScope:
		code, scope, ok := v.CodeWithScopeOK()
		if ok {
			w.text("Code(")
			w.string(code)
			w.text(", ")
			w.document(scope)
			w.text(")")
		}
		return ok
	case bson.TypeSymbol:
		s, ok := v.SymbolOK()
		if ok {
			w.text("BSONSymbol(")
			w.string(s)
			w.text(")")
		}
		return ok
	case bson.TypeUndefined:
		// mongosh sends undefined as null.
		w.lossy = true
		w.text("undefined")
		return true
	case bson.TypeDBPointer:
		// mongosh has no such type; a DBRef is sent as a document.
		ns, id, ok := v.DBPointerOK()
		w.lossy = true
		w.textIf(ok, "DBRef("+Quote(ns)+", ObjectId('"+id.Hex()+"'))")
		return ok
	}
	return false
}

func (w *writer) textIf(ok bool, s string) {
	if ok {
		w.text(s)
	}
}

func (w *writer) date(ok bool, ms int64) {
	if !ok {
		return
	}
	if ms < -maxDate || ms > maxDate {
		w.lossy = true
	}
	// ISODate accepts years of four digits only.
	t := time.UnixMilli(ms).UTC()
	if ms < -maxDate || ms > maxDate || t.Year() < 0 || t.Year() > 9999 {
		w.text("new Date(" + strconv.FormatInt(ms, 10) + ")")
		return
	}
	w.text("ISODate('" + t.Format("2006-01-02T15:04:05.000Z") + "')")
}

func binData(subtype byte, data []byte) string {
	if subtype == bson.TypeBinaryUUID && len(data) == 16 {
		h := hex.EncodeToString(data)
		return "UUID('" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:] + "')"
	}
	return fmt.Sprintf("BinData(%d, '%s')", subtype, base64.StdEncoding.EncodeToString(data))
}
