package mongosh_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/mongosh"
	"go.mongodb.org/mongo-driver/v2/bson"
)

var oddCollections = []string{
	"payments", "'); db.dropDatabase(); //", `a"b\c`, `it's`, "new\nline", "tab\tcr\r", "日本", "__proto__", "constructor",
	"toString", "then", "0", "-1", "a b", " ", "a..b", "a.", "a/b", "a\x01b", "a\u2028b", "\u202eabc", "😀", "*", "`{1}`",
	"class", "stats", "version", "_private", "length", "a;b", "/*", "//", "a.b", "system", strings.Repeat("x", 200),
}

var oddDatabases = []string{"plain", "it's", "new\nline", "日本", "__proto__", "constructor", "0", "class", "a;b", "*", "');--(", "a\u2028b"}

// testMembers asks mongosh itself what db.<name> is.
func (r real) testMembers(t *testing.T) {
	out := r.file(t, `const own = new Set(); let o = db; while (o) { Object.getOwnPropertyNames(o).forEach(n => own.add(n)); o = Object.getPrototypeOf(o) }
print(JSON.stringify([...own]))`)
	var members []string
	if err := json.Unmarshal([]byte(out), &members); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	for _, name := range members {
		if mongosh.ShortCollection(name) == "db."+name {
			t.Errorf("db.%s is a member of this mongosh's db and not in the table", name)
		}
	}
	short := []string{"payments", "a1", "Z_", "class", "if", "await", "then", "length", "name", "use", "show", "it", "exit",
		"createIndex", "find", "drop", "getFullName", "collection", "undefined", "NaN", "async", "let", "of", "get", "toJSON", "inspect"}
	for _, name := range append(short, mongosh.DBMembers()...) {
		inTable := slices.Contains(mongosh.DBMembers(), name)
		if short := mongosh.ShortCollection(name) == "db."+name; short == inTable {
			t.Errorf("%s: short %v, in the table %v", name, short, inTable)
		}
	}
	r.checkShort(t, short, true)
	r.checkShort(t, mongosh.DBMembers(), false)
}

// checkShort wants db.<name> to be the collection of that name, or not to be.
func (r real) checkShort(t *testing.T, names []string, want bool) {
	t.Helper()
	var script strings.Builder
	for _, name := range names {
		fmt.Fprintf(&script, "if ((db.%s === db.getCollection('%s')) !== %v) print('db.%[1]s')\n", name, name, want)
	}
	if out := r.file(t, script.String()); out != "" {
		t.Errorf("want a collection: %v, but not so for:\n%s", want, out)
	}
}

// testNames makes, indexes, renames and drops collections of odd names in
// databases of odd names, and looks that this and nothing else happened.
func (r real) testNames(t *testing.T) {
	r.command(t, "bystander", bson.D{{Key: "create", Value: "here"}})
	var create, index, rename, drop []string
	databases := make(map[string][]string)
	for i, coll := range oddCollections {
		db := oddDatabases[i%len(oddDatabases)]
		databases[db] = append(databases[db], coll)
		spec := must(bson.Marshal(bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "k" + strings.ReplaceAll(coll, ".", ""), Value: 1}}}, {Key: "name", Value: coll}}))
		create = append(create, mongosh.CreateCollection(db, coll, nil))
		if coll != "*" { // no index has this name
			index = append(index, mongosh.CreateIndex(db, coll, spec), mongosh.DropIndex(db, coll, coll))
		}
		rename = append(rename, mongosh.RenameCollection(db, coll, coll+"'2"))
		drop = append(drop, mongosh.DropCollection(db, coll+"'2", nil))
	}
	r.mustEach(t, create)
	r.checkNames(t, databases, "")
	r.mustEach(t, append(index, rename...))
	r.checkNames(t, databases, "'2")
	r.mustEach(t, drop)
	r.checkNames(t, nil, "")
	if got := r.names(t, "bystander"); !slices.Equal(got, []string{"here"}) {
		t.Errorf("the bystander's collections are %q", got)
	}
	r.dropAll(t, "bystander")
}

func (r real) checkNames(t *testing.T, databases map[string][]string, suffix string) {
	t.Helper()
	for _, db := range oddDatabases {
		want := []string{}
		for _, coll := range databases[db] {
			want = append(want, coll+suffix)
		}
		slices.Sort(want)
		if got := r.names(t, db); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", db, got, want)
		}
	}
}

// testWaysIn runs the same lines from a file, from standard input and by
// --eval.
func (r real) testWaysIn(t *testing.T) {
	spec := must(bson.Marshal(bson.D{{Key: "key", Value: bson.D{{Key: "b", Value: 1}, {Key: "0", Value: 1}, {Key: "__proto__", Value: 1}}}, {Key: "name", Value: "n\u2028'\n\\"}}))
	validator := fromJSON(t, `{"validator": {"a": {"$regularExpression": {"pattern": "^a/\n", "options": "x"}}, "a": 1, "日本": "😀\n"}}`)
	statements := []string{
		mongosh.CreateCollection("ways", "'); //\n", validator),
		mongosh.CreateIndex("ways", "'); //\n", spec),
		mongosh.CreateCollection("ways", "undone", nil),
		mongosh.UndoCreateCollection("ways", "undone", nil),
		mongosh.ReplaceCollection("ways", "r", mongosh.Definition{Options: validator, Indexes: []bson.Raw{spec}}),
	}
	ways := map[string]func(){
		"file":  func() { r.file(t, strings.Join(statements, "\n")) },
		"stdin": func() { r.pipe(t, strings.Join(statements, "\n")+"\n") },
		"eval":  func() { r.eval(t, statements) },
	}
	for name, run := range ways {
		run()
		all := r.list(t, "ways")
		if len(all) != 2 || normalOptions(all["r"].options) != normalOptions(validator) ||
			strings.ReplaceAll(normal(all), `"'); //\n"`, `"r"`) != strings.Repeat(normal(map[string]listed{"r": all["r"]}), 2) {
			t.Errorf("by %s:\n%s", name, normal(all))
		}
		r.dropAll(t, "ways")
	}
}
