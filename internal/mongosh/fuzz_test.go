package mongosh_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/ddltail/ddltail/internal/mongosh"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func FuzzLiteral(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		f.Add(byte(bson.TypeEmbeddedDocument), []byte(seed))
	}
	f.Add(byte(bson.TypeCodeWithScope), []byte{14, 0, 0, 0, 1, 0, 0, 0, 0, 5, 0, 0, 0, 0})
	f.Add(byte(bson.TypeRegex), []byte("a(\x00zz\x00"))
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		text, _ := mongosh.Literal(bson.RawValue{Type: bson.Type(kind), Value: data})
		checkText(t, text)
		if text == "" {
			t.Error("a literal is never empty")
		}
	})
}

func FuzzStatements(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		f.Add("banking_db", "payments", []byte(seed))
		f.Add("'); db.x", "a\\'b\u2028\xff", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, db, coll string, data []byte) {
		for _, statement := range everyStatement(db, coll, data) {
			checkText(t, statement)
			if statement != "" && !strings.HasPrefix(statement, "db.") {
				t.Errorf("would join the line before: %s", statement)
			}
		}
	})
}

func everyStatement(db, coll string, doc bson.Raw) []string {
	return []string{
		mongosh.CreateCollection(db, coll, doc),
		mongosh.UndoCreateCollection(db, coll, doc),
		mongosh.DropCollection(db, coll, doc),
		mongosh.CreateIndex(db, coll, doc),
		mongosh.CreateIndex(db, coll, mongosh.WithSimpleCollation(doc)),
		mongosh.ShortCreateIndex(coll, doc),
		mongosh.DropIndex(db, coll, db),
		mongosh.UndoDropIndex(db, coll, doc),
		mongosh.ModifyCollection(db, coll, doc),
		mongosh.UndoModifyCollection(db, coll, mongosh.Modification{Changes: doc, Options: doc, Index: doc}),
		mongosh.RenameCollection(db, coll, db),
		mongosh.RenameCollectionOver(db, db, coll),
		mongosh.DropDatabase(db),
		mongosh.CreateView(db, coll, doc),
		mongosh.ModifyView(db, coll, doc),
		mongosh.UndoCreateView(db, coll),
		mongosh.ConvertToCapped(db, coll, doc),
		mongosh.ReplaceCollection(db, coll, mongosh.Definition{Options: doc, Indexes: []bson.Raw{doc}}),
		mongosh.ShortCollection(coll),
	}
}

func fuzzSeeds(f *testing.F) []bson.Raw {
	var seeds []bson.Raw
	for _, text := range []string{
		`{"v": 2, "key": {"b": 1, "0": -1}, "name": "n", "weights": {"t": 1}, "unique": true}`,
		`{"key": {"_fts": "text", "_ftsx": 1}, "name": "n", "weights": {"t": 5}}`,
		`{"collMod": "c", "index": {"name": "n", "hidden": true}, "expireAfterSeconds": {"$numberLong": "5"}, "validator": {"a": 1}}`,
		`{"capped": true, "size": 1, "timeseries": {"timeField": "t", "granularity": "hours"}, "encryptedFields": {}}`,
		`{"viewOn": "x", "pipeline": [{"$match": {"a": {"$regularExpression": {"pattern": "^a", "options": "i"}}}}], "collation": {"locale": "fr"}}`,
	} {
		var doc bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(text), false, &doc); err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, doc)
	}
	return seeds
}

// checkText holds for every text: one line of printable characters, and nothing
// of the input is outside of literals.
func checkText(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("not one line of printable characters: %q", text)
	}
	for rest := text; rest != ""; {
		token := token.FindString(rest)
		if token == "" {
			t.Errorf("a literal is torn: %s\nat %s", text, rest)
			return
		}
		rest = rest[len(token):]
	}
}

// token is a string, a regular expression (no pattern between slashes has a
// slash in it), a name, a number or a sign.
var token = regexp.MustCompile(`^(?:'(?:[^'\\]|\\.)*'|/[^/]+/[im]*|[\w$]+|[ .,:;=&?(){}\[\]+-])`)
