package declaration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/declaration"
	"github.com/ddltail/ddltail/internal/schema"
)

// TestPieces: a long script, which is parsed in pieces, is what its parts are, and a mistake
// in it has its line.
func TestPieces(t *testing.T) {
	statements := []string{
		"db.createCollection('a%d', {validator: {name: /[/'\"`]\\/}/i, text: \"it's } ) ; \\\"\"}}) // it's a comment; {",
		"db.createCollection(`b%d`, /* } ' */ {\n  validator: {x: 1}\n})",
		"db\n  .getCollection('a%d')\n  .createIndex({x: 1},\n    {name: 'x;'})",
		"const key%d = {x: 1, 'a\\'b': -1};",
		"db.b%d.createIndex({x: 1});",
		"use other\nuse shop",
	}
	write := func(t *testing.T, n int, last string) string {
		var b strings.Builder
		b.WriteString("use shop\n")
		for i := range n {
			for _, s := range statements {
				b.WriteString(strings.ReplaceAll(s, "%d", fmt.Sprint(i)) + "\n")
			}
		}
		path := filepath.Join(t.TempDir(), "schema.js")
		if err := os.WriteFile(path, []byte(b.String()+last), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const many = 6000
	all := read(t, write(t, many, ""))
	if len(all) != 2*many {
		t.Fatalf("%d collections", len(all))
	}
	for ns, def := range read(t, write(t, 1, "")) {
		for _, n := range []string{"0", "3000", "5999"} {
			other := schema.Namespace{Database: ns.Database, Collection: ns.Collection[:1] + n}
			if got := all[other]; !got.Equivalent(def) || len(got.Indexes) != 1 {
				t.Errorf("%s is %+v, want %+v", other, got, def)
			}
		}
	}
	line := 2 + many*strings.Count(strings.Join(statements, "\n")+"\n", "\n")
	for last, problem := range map[string]string{
		"db.a1.drop()\n": ":1: drop is not supported",
		"db.a1.(\n":      "not a script",
		"  db.createCollection('a1')\n" + "db.x.createIndex({y: 1})\n": ":3: shop.a1 is declared twice",
	} {
		_, err := declaration.Read(write(t, many, last))
		if err == nil || !strings.Contains(err.Error(), problem) || !strings.Contains(err.Error(), fmt.Sprintf("schema.js:%d:", line)) {
			t.Errorf("%q: %v, want line %d", last, err, line)
		}
	}
}
