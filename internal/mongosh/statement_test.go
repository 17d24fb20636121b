package mongosh_test

import (
	"testing"

	"github.com/ddltail/ddltail/internal/mongosh"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// fromJSON reads a document in Extended JSON, so that the tables stay legible.
func fromJSON(t *testing.T, text string) bson.Raw {
	t.Helper()
	if text == "" {
		return nil
	}
	var doc bson.Raw
	if err := bson.UnmarshalExtJSON([]byte(text), false, &doc); err != nil {
		t.Fatalf("bad test document %s: %v", text, err)
	}
	return doc
}

const frenchCollation = `"collation": {"locale": "fr", "caseLevel": false, "caseFirst": "off", "strength": 3,
	"numericOrdering": false, "alternate": "non-ignorable", "maxVariable": "punct", "normalization": false,
	"backwards": false, "version": "57.1"}`

func TestCreateIndex(t *testing.T) {
	const long = "db.getSiblingDB('b').getCollection('c').createIndex("
	cases := map[string]struct{ spec, want string }{
		"plain": {`{"v": 2, "key": {"amount": 1}, "name": "amount_idx"}`,
			long + "{amount: 1}, {name: 'amount_idx'})"},
		"directions of other types": {`{"key": {"a": {"$numberDouble": "-1.0"}, "b": {"$numberLong": "1"}}, "name": "n"}`,
			long + "{a: -1, b: 1}, {name: 'n'})"},
		"options": {`{"v": 2, "unique": true, "key": {"a.b": 1}, "name": "ab", "ns": "b.c", "background": true,
			"partialFilterExpression": {"a": {"$gt": {"$numberDouble": "0"}}}, "expireAfterSeconds": {"$numberLong": "60"}}`,
			long + "{'a.b': 1}, {name: 'ab', unique: true, partialFilterExpression: {a: {$gt: Double(0)}}, expireAfterSeconds: 60})"},
		"collation": {`{"v": 2, "key": {"a": 1}, "name": "n", ` + frenchCollation + `}`,
			long + "{a: 1}, {name: 'n', collation: {locale: 'fr'}})"},
		"text": {`{"v": 2, "key": {"_fts": "text", "_ftsx": 1}, "name": "tx", "weights": {"t": 1},
			"default_language": "english", "language_override": "language", "textIndexVersion": 3}`,
			long + "{t: 'text'}, {name: 'tx'})"},
		"compound text with weights": {`{"v": 2, "key": {"a": 1, "_fts": "text", "_ftsx": 1, "b": -1}, "name": "tx",
			"weights": {"s": 5, "t": 1}, "default_language": "none", "language_override": "lang", "textIndexVersion": 2}`,
			long + "{a: 1, s: 'text', t: 'text', b: -1}, {name: 'tx', weights: {s: 5}, default_language: 'none', language_override: 'lang', textIndexVersion: 2})"},
		"2dsphere": {`{"v": 2, "key": {"g": "2dsphere"}, "name": "g", "2dsphereIndexVersion": 3}`,
			long + "{g: '2dsphere'}, {name: 'g'})"},
		"2dsphere of an old version": {`{"v": 2, "key": {"g": "2dsphere"}, "name": "g", "2dsphereIndexVersion": 2}`,
			long + "{g: '2dsphere'}, {name: 'g', '2dsphereIndexVersion': 2})"},
		"2d": {`{"v": 2, "key": {"g": "2d"}, "name": "g", "bits": 20, "min": -10, "max": 10.5}`,
			long + "{g: '2d'}, {name: 'g', bits: 20, min: -10, max: 10.5})"},
		"wildcard": {`{"v": 2, "key": {"$**": 1}, "name": "w", "wildcardProjection": {"x": true, "_id": false}}`,
			long + "{'$**': 1}, {name: 'w', wildcardProjection: {x: true, _id: false}})"},
		"old version": {`{"v": 1, "key": {"a": 1}, "name": "n"}`,
			"db.getSiblingDB('b').runCommand({createIndexes: 'c', indexes: [{key: {a: 1}, name: 'n', v: 1}]})"},
		"an option that the helper drops": {`{"v": 2, "key": {"a": 1}, "name": "n", "prepareUnique": true}`,
			"db.getSiblingDB('b').runCommand({createIndexes: 'c', indexes: [{key: {a: 1}, name: 'n', prepareUnique: true}]})"},
		"a key that an object would reorder": {`{"v": 2, "key": {"b": 1, "0": 1}, "name": "n"}`,
			"db.getSiblingDB('b').runCommand({createIndexes: 'c', indexes: [{key: new Map([['b', 1], ['0', 1]]), name: 'n'}]})"},
		"a filter that an object would reorder": {`{"v": 2, "key": {"a": 1}, "name": "n", "partialFilterExpression": {"b": 1, "0": 1}}`,
			long + "{a: 1}, {name: 'n', partialFilterExpression: new Map([['b', 1], ['0', 1]])})"},
		"prototype": {`{"v": 2, "key": {"__proto__": 1}, "name": "n"}`,
			long + "{['__proto__']: 1}, {name: 'n'})"},
		"name as data": {`{"v": 2, "key": {"a": 1}, "name": "i'dx\"\\'); db.dropDatabase(); //"}`,
			long + `{a: 1}, {name: 'i\'dx"\\\'); db.dropDatabase(); //'})`},
		"as its oplog entry has it": {`{"createIndexes": "c", "v": 2, "key": {"a": 1}, "name": "n"}`,
			long + "{a: 1}, {name: 'n'})"},
		"no name":           {`{"key": {"a": 1}}`, ""},
		"a negative expiry": {`{"key": {"a": 1}, "name": "n", "expireAfterSeconds": -1}`, ""},
		"no key":            {`{"name": "n"}`, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := mongosh.CreateIndex("b", "c", fromJSON(t, c.spec)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestShortCreateIndex(t *testing.T) {
	spec := fromJSON(t, `{"v": 2, "key": {"amount": 1}, "name": "amount_idx"}`)
	cases := map[string]string{
		"transactions": "db.transactions.createIndex({amount: 1}, {name: 'amount_idx'})",
		"class":        "db.class.createIndex({amount: 1}, {name: 'amount_idx'})",
		"stats":        "db.getCollection('stats').createIndex({amount: 1}, {name: 'amount_idx'})",
		"_x":           "db.getCollection('_x').createIndex({amount: 1}, {name: 'amount_idx'})",
		"a.b":          "db.getCollection('a.b').createIndex({amount: 1}, {name: 'amount_idx'})",
		"a'b":          `db.getCollection('a\'b').createIndex({amount: 1}, {name: 'amount_idx'})`,
		"x$y":          "db.runCommand({createIndexes: 'x$y', indexes: [{key: {amount: 1}, name: 'amount_idx'}]})",
		"":             "",
		"\xff":         "",
	}
	for coll, want := range cases {
		if got := mongosh.ShortCreateIndex(coll, spec); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", coll, got, want)
		}
	}
}

func TestWithSimpleCollation(t *testing.T) {
	plain := fromJSON(t, `{"v": 2, "key": {"a": 1}, "name": "n"}`)
	want := "db.getSiblingDB('b').getCollection('c').createIndex({a: 1}, {name: 'n', collation: {locale: 'simple'}})"
	if got := mongosh.CreateIndex("b", "c", mongosh.WithSimpleCollation(plain)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	french := fromJSON(t, `{"key": {"a": 1}, "name": "n", "collation": {"locale": "fr"}}`)
	if got := mongosh.WithSimpleCollation(french); string(got) != string(french) {
		t.Errorf("a collation that is there must stay, got %v", got)
	}
	if got := mongosh.WithSimpleCollation(bson.Raw{1, 2}); len(got) != 2 {
		t.Errorf("malformed specs must come back as they are, got %v", got)
	}
}
