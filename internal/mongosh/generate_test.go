package mongosh_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// generator makes random BSON; equal seeds make equal values.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 0))} }

func pick[T any](g generator, from []T) T { return from[g.IntN(len(from))] }

// value nests at most depth levels.
func (g generator) value(depth int) any {
	switch kind := g.IntN(10); {
	case kind < 3 && depth > 0:
		return g.document(depth)
	case kind == 3 && depth > 0:
		values := bson.A{}
		for range g.IntN(5) {
			values = append(values, g.value(depth-1))
		}
		return values
	case kind < 7:
		return g.number()
	}
	return g.scalar()
}

func (g generator) document(depth int) bson.D {
	doc := bson.D{}
	for range g.IntN(6) {
		doc = append(doc, bson.E{Key: g.key(), Value: g.value(depth - 1)})
	}
	return doc
}

var oddKeys = []string{
	"__proto__", "constructor", "toString", "0", "1", "10", "4294967294", "4294967295", "4294967296",
	"-1", "01", "", "_bsontype", "toBSON", "then", "$ref", "$id", "$gt", "a.b", "class", "if", "length", "new\nline",
	"'); db.dropDatabase(); //", "日本", "a b", "get", "async", "Infinity", "NaN", "9007199254740993", "entries",
}

func (g generator) key() string {
	switch g.IntN(4) {
	case 0:
		return pick(g, oddKeys)
	case 1:
		return fmt.Sprint(g.IntN(30))
	case 2:
		return strings.ReplaceAll(g.text(6), "\x00", "")
	}
	return string(rune('a' + g.IntN(26)))
}

var textPieces = []string{
	"a", "Z", "_", "$", "7", " ", "'", `"`, "`", "${x}", `\`, "/", "//", "*/", "\n", "\r", "\t", "\x00", "\x01", "\x7f",
	"\u0085", "\u00a0", "\u2028", "\u2029", "\u202e", "\ufeff", "é", "日", "😀", "\U000e0001", "\ufffd", "\uffff", "</script>",
	"(", ")", "[", "]", "{", "}", "*", "+", "?", "^", "|", ".", "-", `\d`, `\b`, `\B`, `\/`, "{2}", "{2,1}", "(?:", "[^", "a-z",
}

func (g generator) text(pieces int) string {
	var b strings.Builder
	for range g.IntN(pieces + 1) {
		b.WriteString(pick(g, textPieces))
	}
	return b.String()
}

func (g generator) number() any {
	switch g.IntN(8) {
	case 0:
		return int32(g.Uint32())
	case 1:
		return int64(g.Uint64())
	case 2:
		return float64(int32(g.Uint32()))
	case 3:
		return float64(int64(g.Uint64()))
	case 4:
		f := math.Float64frombits(g.Uint64())
		if math.IsNaN(f) {
			return 0.5 // every NaN is the same to JavaScript
		}
		return f
	case 5:
		return pick(g, []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), 1 << 31, 1 << 53, 1e21, 1e-6, 1e-7})
	case 6:
		return must(bson.ParseDecimal128(pick(g, []string{"NaN", "Infinity", "-Infinity", "0", "-0", "0E-6176", "0E+6111",
			"9.999999999999999999999999999999999E+6144", "1E-6176", "-1.00"})))
	}
	return must(bson.ParseDecimal128(fmt.Sprintf("%d%dE%d", int64(g.Uint64()), g.Uint32(), g.IntN(12000)-6000)))
}

func (g generator) scalar() any {
	switch g.IntN(14) {
	case 0:
		return g.IntN(2) == 0
	case 1:
		return pick(g, []any{nil, bson.MinKey{}, bson.MaxKey{}})
	case 2:
		return bson.DateTime(g.Int64N(2*8640000000000001-1) - 8640000000000000)
	case 3:
		return bson.DateTime(g.Int64N(320e12) - 64e12)
	case 4:
		return bson.Timestamp{T: g.Uint32(), I: g.Uint32()}
	case 5:
		return bson.ObjectID(g.bytes(12))
	case 6, 7:
		subtype := pick(g, []byte{0, 1, 2, 3, 4, 4, 5, 0x80, 0xff}) // some servers look into 6 to 9
		return bson.Binary{Subtype: subtype, Data: g.bytes(pick(g, []int{0, 1, 2, 16, 16, 20}))}
	case 8:
		return bson.Symbol(g.text(4))
	case 9:
		return bson.JavaScript(g.text(4))
	case 10:
		return bson.CodeWithScope{Code: bson.JavaScript(g.text(4)), Scope: g.document(1)}
	case 11:
		return g.regex()
	}
	return g.text(6)
}

func (g generator) regex() bson.Regex {
	options := ""
	for _, letter := range "ilmsux" { // mongosh sends them in alphabetical order
		if g.IntN(4) == 0 {
			options += string(letter)
		}
	}
	return bson.Regex{Pattern: strings.ReplaceAll(g.text(5), "\x00", ""), Options: options}
}

func (g generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}
