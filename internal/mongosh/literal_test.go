package mongosh_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/mongosh"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestLiteral(t *testing.T) {
	id := bson.ObjectID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	cases := map[string]any{
		"1":                            int32(1),
		"Long('1')":                    int64(1),
		"Long('-9223372036854775808')": int64(math.MinInt64),
		"Double(1)":                    1.0,
		"-0":                           math.Copysign(0, -1),
		"Double(0)":                    0.0,
		"1.5":                          1.5,
		"2147483648":                   float64(1 << 31),
		"Double(-2147483648)":          float64(math.MinInt32),
		"1e+300":                       1e300,
		"5e-324":                       math.SmallestNonzeroFloat64,
		"NaN":                          math.NaN(),
		"-Infinity":                    math.Inf(-1),
		"Decimal128('1.50')":           must(bson.ParseDecimal128("1.50")),
		"true":                         true,
		"null":                         nil,
		"'it\\'s'":                     "it's",
		"'a\\\\b\"c`${x}'":             "a\\b\"c`${x}",
		`'\u0000\u0001\n\r\t\u007f\u2028\u2029\u202e\ufeff'`: "\x00\x01\n\r\t\x7f\u2028\u2029\u202e\ufeff",
		"'日本 😀'":                                       "日本 😀",
		`'\u{e0001}'`:                                  "\U000e0001",
		"ObjectId('0102030405060708090a0b0c')":         id,
		"ISODate('2020-01-02T03:04:05.678Z')":          time.Date(2020, 1, 2, 3, 4, 5, 678e6, time.UTC),
		"ISODate('0000-01-01T00:00:00.000Z')":          time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		"new Date(-62167219200001)":                    bson.DateTime(-62167219200001),
		"new Date(8640000000000000)":                   bson.DateTime(8640000000000000),
		"Timestamp({t: 4294967295, i: 1})":             bson.Timestamp{T: math.MaxUint32, I: 1},
		"UUID('01020304-0506-0708-090a-0b0c0d0e0f10')": bson.Binary{Subtype: 4, Data: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
		"BinData(4, 'AQI=')":                           bson.Binary{Subtype: 4, Data: []byte{1, 2}},
		"BinData(0, '')":                               bson.Binary{},
		"BinData(2, 'AQI=')":                           bson.Binary{Subtype: 2, Data: []byte{1, 2}},
		"MinKey()":                                     bson.MinKey{},
		"MaxKey()":                                     bson.MaxKey{},
		"Code('f()')":                                  bson.JavaScript("f()"),
		"Code('f()', {a: 1})":                          bson.CodeWithScope{Code: "f()", Scope: bson.D{{Key: "a", Value: int32(1)}}},
		"BSONSymbol('s')":                              bson.Symbol("s"),
		"[1, [], {}]":                                  bson.A{int32(1), bson.A{}, bson.D{}},
	}
	for want, value := range cases {
		got, exact := mongosh.Literal(rawValue(t, value))
		if got != want || !exact {
			t.Errorf("%v:\ngot  %s, exact %v\nwant %s", value, got, exact, want)
		}
	}
}

func TestDocument(t *testing.T) {
	cases := map[string]string{
		`{"a": {"$gt": 1}, "b.c": 2, "": 3, "class": 4, "$x_1": 5}`: "{a: {$gt: 1}, 'b.c': 2, '': 3, class: 4, $x_1: 5}",
		`{"__proto__": 1, "toBSON": 2}`:                             "{['__proto__']: 1, toBSON: 2}",
		`{"0": 1, "7": 2, "10": 3, "a": 4, "01": 5, "-1": 6}`:       "{'0': 1, '7': 2, '10': 3, a: 4, '01': 5, '-1': 6}",
		`{"b": 1, "0": 2}`:                    "new Map([['b', 1], ['0', 2]])",
		`{"10": 1, "9": 2}`:                   "new Map([['10', 1], ['9', 2]])",
		`{"a": 1, "4294967295": 2}`:           "new Map([['a', 1], ['4294967295', 2]])",
		`{"a": 1, "99999999999999999999": 2}`: "{a: 1, '99999999999999999999': 2}",
		`{"_bsontype": "Long"}`:               "new Map([['_bsontype', 'Long']])",
		`{"a": {"b": {"c": 1}, "0": 2}}`:      "{a: new Map([['b', {c: 1}], ['0', 2]])}",
		`{"a": 1, "a": 2}`:                    "Object.assign(new Map(), {entries: Array.prototype.values.bind([['a', 1], ['a', 2]])})",
	}
	for doc, want := range cases {
		got, exact := mongosh.Document(fromJSON(t, doc))
		if got != want || !exact {
			t.Errorf("%s:\ngot  %s, exact %v\nwant %s", doc, got, exact, want)
		}
	}
}

func TestLiteralOfRegularExpressions(t *testing.T) {
	cases := map[bson.Regex]string{
		{Pattern: "^[A-Z]{3}$", Options: "mi"}:  "/^[A-Z]{3}$/im",
		{Pattern: `^a+@x\.com$`}:                `/^a+@x\.com$/`,
		{Pattern: "a|(b)*?"}:                    "/a|(b)*?/",
		{Pattern: ""}:                           "BSONRegExp('', '')",
		{Pattern: "a/b"}:                        "BSONRegExp('a/b', '')",
		{Pattern: "a\nb"}:                       `BSONRegExp('a\nb', '')`,
		{Pattern: "a", Options: "xs"}:           "BSONRegExp('a', 'sx')",
		{Pattern: "a", Options: "ii"}:           "BSONRegExp('a', 'ii')",
		{Pattern: "(?i)a"}:                      "BSONRegExp('(?i)a', '')",
		{Pattern: "^*"}:                         "BSONRegExp('^*', '')",
		{Pattern: "[]{3,1}]{"}:                  "BSONRegExp('[]{3,1}]{', '')",
		{Pattern: "[^]a]"}:                      "BSONRegExp('[^]a]', '')",
		{Pattern: "a("}:                         "BSONRegExp('a(', '')",
		{Pattern: `\Aé\z`}:                      `BSONRegExp('\\Aé\\z', '')`,
		{Pattern: "[[:alpha:]]", Options: "i"}:  "BSONRegExp('[[:alpha:]]', 'i')",
		{Pattern: "'); db.dropDatabase(); //'"}: `BSONRegExp('\'); db.dropDatabase(); //\'', '')`,
	}
	for value, want := range cases {
		got, exact := mongosh.Literal(rawValue(t, value))
		if got != want || !exact {
			t.Errorf("%v:\ngot  %s, exact %v\nwant %s", value, got, exact, want)
		}
	}
}

func TestLiteralOfWhatMongoshCannotSay(t *testing.T) {
	deep := bson.D{}
	for range 300 {
		deep = bson.D{{Key: "a", Value: deep}}
	}
	for name, value := range map[string]any{
		"bytes that are no UTF-8":       "\xff",
		"a key that is no UTF-8":        bson.D{{Key: "a\xff", Value: int32(1)}},
		"a date after all dates":        bson.DateTime(8640000000000001),
		"a date before all dates":       bson.DateTime(math.MinInt64),
		"undefined":                     bson.Undefined{},
		"a DBPointer":                   bson.DBPointer{DB: "a.b"},
		"an option no driver sends":     bson.Regex{Pattern: "a", Options: "g"},
		"a decimal that is not minimal": bson.NewDecimal128(0x6c00000000000000, 1),
		"nesting without end":           deep,
	} {
		text, exact := mongosh.Literal(rawValue(t, value))
		if exact || text == "" || strings.ContainsAny(text, "\n\r\x00") {
			t.Errorf("%s: got %q, exact %v", name, text, exact)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func rawValue(t *testing.T, value any) bson.RawValue {
	t.Helper()
	doc, err := bson.Marshal(bson.D{{Key: "v", Value: value}})
	if err != nil {
		t.Fatalf("marshal %v: %v", value, err)
	}
	return bson.Raw(doc).Lookup("v")
}
