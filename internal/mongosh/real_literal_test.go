package mongosh_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/mongosh"
	"go.mongodb.org/mongo-driver/v2/bson"
)

const literalCases = 400

// testLiterals inserts what mongosh makes of literals and compares the bytes
// that the server then has with those that the literals were written from.
func (r real) testLiterals(t *testing.T) {
	for _, seed := range []uint64{1, uint64(time.Now().UnixNano())} {
		g := newGenerator(seed)
		docs := make([]bson.Raw, literalCases)
		statements := make([]string, literalCases)
		for i := range docs {
			docs[i] = must(bson.Marshal(bson.D{{Key: "_id", Value: int32(i)}, {Key: "v", Value: g.value(4)}}))
			text, exact := mongosh.Document(docs[i])
			if !exact {
				t.Fatalf("seed %d: no exact literal for %v", seed, docs[i])
			}
			statements[i] = fmt.Sprintf("db.getSiblingDB('literals').runCommand({insert: 's%d', documents: [%s]})", seed, text)
		}
		r.mustEach(t, statements)
		r.compareStored(t, fmt.Sprintf("s%d", seed), docs, statements)
	}
}

func (r real) compareStored(t *testing.T, coll string, docs []bson.Raw, statements []string) {
	t.Helper()
	cursor, err := r.client.Database("literals").Collection(coll).Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatalf("find: %v", err)
	}
	found := 0
	for cursor.Next(t.Context()) {
		found++
		i := int(cursor.Current.Lookup("_id").Int32())
		if !bytes.Equal(cursor.Current, docs[i]) {
			t.Errorf("%s\ngot  %x\nwant %x", statements[i], []byte(cursor.Current), []byte(docs[i]))
		}
	}
	if err := cursor.Err(); err != nil || found != len(docs) {
		t.Errorf("found %d of %d: %v", found, len(docs), err)
	}
}

// testRegularExpressions asks JavaScript whether it reads a pattern between
// slashes as it was. A pattern it refuses fails the whole script.
func (r real) testRegularExpressions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	g := newGenerator(seed)
	pieces := []string{"a", "b", "a-z", " ", "0", ",", "{2}", "{,3}", "{3,1}", "{1,2}", "{00}", "{1,02}", "{", "}", "(", ")", "[", "[^", "]", "*", "+", "?",
		"^", "$", "|", ".", "-", ":", `\d`, `\W`, `\b`, `\B`, `\.`, `\[`, `\-`, `\\`, `\z`, `\1`, `\`, "/"}
	var script strings.Builder
	plain := 0
	for range 20_000 {
		pattern := ""
		for range 1 + g.IntN(6) {
			pattern += pick(g, pieces)
		}
		text, exact := mongosh.Literal(rawValue(t, bson.Regex{Pattern: pattern}))
		if !exact {
			t.Fatalf("seed %d: no exact literal for %q", seed, pattern)
		}
		if text[0] == '/' {
			plain++
			fmt.Fprintf(&script, "if (%s.source !== %s) print('read otherwise: ' + %[2]s)\n", text, mongosh.Quote(pattern))
		}
	}
	if plain < 2000 {
		t.Errorf("seed %d: only %d of the patterns are plain, the test shows little", seed, plain)
	}
	if out := r.file(t, "void eval("+mongosh.Quote(script.String())+")"); strings.TrimSpace(out) != "" {
		t.Errorf("seed %d: %s", seed, out)
	}
}
