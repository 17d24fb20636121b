package drift_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/declaration"
	"github.com/ddltail/ddltail/internal/drift"
	"github.com/ddltail/ddltail/internal/migration"
	"github.com/ddltail/ddltail/internal/schema"
)

func definitions(t *testing.T, script string) schema.Definitions {
	t.Helper()
	path := filepath.Join(t.TempDir(), "schema.js")
	if err := os.WriteFile(path, []byte("use d\n"+strings.ReplaceAll(script, "; ", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := declaration.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return d.Definitions
}

func ids(all []drift.Difference) string {
	var out []string
	for _, d := range all {
		out = append(out, d.ID())
	}
	return strings.Join(out, " ")
}

// TestCompare: what a declaration and a live schema differ in, and what is no difference.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		why, declared, live string
		want, exact         string
	}{
		{"the same", "db.createCollection('a')", "db.createCollection('a')", "", ""},
		{"a collection that is not declared", "db.createCollection('a')", "db.createCollection('a'); db.createCollection('b')", "", "unexpected:d.b"},
		{"a missing collection", "db.createCollection('a')", "db.createCollection('b')", "missing:d.a", "missing:d.a unexpected:d.b"},
		{"an index by hand", "db.createCollection('a')", "db.createCollection('a'); db.a.createIndex({x: 1})", "unexpected:d.a:x_1", "unexpected:d.a:x_1"},
		{"a missing index", "db.createCollection('a'); db.a.createIndex({x: 1})", "db.createCollection('a')", "missing:d.a:x_1", "missing:d.a:x_1"},
		{"an index under another name", "db.createCollection('a'); db.a.createIndex({x: 1})", "db.createCollection('a'); db.a.createIndex({x: 1}, {name: 'other'})", "different:d.a:x_1", "different:d.a:x_1"},
		{"an option of an index", "db.createCollection('a'); db.a.createIndex({x: 1})", "db.createCollection('a'); db.a.createIndex({x: 1}, {unique: true})", "different:d.a:x_1", "different:d.a:x_1"},
		{"values that servers list otherwise", "db.createCollection('a', {capped: 1, size: 100000}); db.a.createIndex({x: 1}, {unique: 1, sparse: 0, expireAfterSeconds: 3600.5})", "db.createCollection('a', {capped: true, size: 100096}); db.a.createIndex({x: 1}, {unique: true, expireAfterSeconds: 3600})", "", ""},
		{"a validator", "db.createCollection('a')", "db.createCollection('a', {validator: {x: 1}})", "different:d.a", "different:d.a"},
		{"only the indexes are declared", "db.a.createIndex({x: 1})", "db.createCollection('a', {validator: {x: 1}}); db.a.createIndex({x: 1})", "", ""},
		{"a view in place of a collection", "db.createCollection('a')", "db.createView('a', 'b')", "different:d.a", "different:d.a"},
		{"GridFS", "db.createCollection('fs.files')", "db.createCollection('fs.files'); db.fs.files.createIndex({filename: 1, uploadDate: 1}); db.fs.chunks.createIndex({files_id: 1, n: 1}, {unique: true})", "", ""},
		{"the server's own index of a time series", "db.createCollection('a', {timeseries: {timeField: 't', metaField: 'm'}})", "db.createCollection('a', {timeseries: {timeField: 't', metaField: 'm', granularity: 'seconds'}}); db.a.createIndex({m: 1, t: 1})", "", ""},
	} {
		t.Run(c.why, func(t *testing.T) {
			declared, live := definitions(t, c.declared), definitions(t, c.live)
			for _, exact := range []bool{false, true} {
				want := c.want
				if exact {
					want = c.exact
				}
				if got := ids(drift.Compare(declared, live, drift.Scope{Exact: exact})); got != want {
					t.Errorf("exact %t: got %q, want %q", exact, got, want)
				}
			}
		})
	}
}

// TestUnknown: what the server cannot list is not compared.
func TestUnknown(t *testing.T) {
	declared := definitions(t, "db.createCollection('a'); db.createCollection('b')")
	s := drift.Scope{Unknown: func(ns schema.Namespace) bool { return ns.Collection == "a" }}
	if got := ids(drift.Compare(declared, schema.Definitions{}, s)); got != "missing:d.b" {
		t.Errorf("got %q", got)
	}
}

// TestScript: the script towards the declaration, with and without leave to destroy.
func TestScript(t *testing.T) {
	declared := definitions(t, "db.createCollection('a'); db.a.createIndex({x: 1}); db.a.createIndex({z: 1}, {expireAfterSeconds: 60})")
	live := definitions(t, "db.createCollection('a'); db.a.createIndex({y: 1}); db.a.createIndex({z: 1}, {expireAfterSeconds: 600}); db.createCollection('b')")
	open := drift.Compare(declared, live, drift.Scope{Exact: true})
	all := drift.Script(open, declared, live, migration.AllowDestructive).String()
	kept := drift.Script(open, declared, live, migration.KeepObjects).String()
	for _, statement := range []string{"dropIndex('y_1')", "getCollection('b').drop()", "expireAfterSeconds: 60}"} {
		if !strings.Contains(all, statement) {
			t.Errorf("%s is missing in\n%s", statement, all)
		}
		for line := range strings.Lines(kept) {
			if strings.Contains(line, statement) && !strings.HasPrefix(line, "// NOT DONE") {
				t.Errorf("executed: %s", line)
			}
		}
	}
	if created, dropped := strings.Index(all, "createIndex({x: 1}"), strings.Index(all, "dropIndex('y_1')"); created < 0 || created > dropped {
		t.Errorf("an index is created before the one that it replaces is dropped:\n%s", all)
	}
}

// TestScriptOfAnotherKind: what is created again gets its indexes.
func TestScriptOfAnotherKind(t *testing.T) {
	declared := definitions(t, "db.createCollection('a'); db.a.createIndex({x: 1})")
	live := definitions(t, "db.createView('a', 'b')")
	script := drift.Script(drift.Compare(declared, live, drift.Scope{}), declared, live, migration.AllowDestructive).String()
	for _, statement := range []string{".drop()", "createCollection('a')", "createIndex({x: 1}"} {
		if !strings.Contains(script, statement) {
			t.Errorf("no %s in\n%s", statement, script)
		}
	}
	kept := drift.Script(drift.Compare(declared, live, drift.Scope{}), declared, live, migration.KeepObjects).String()
	for line := range strings.Lines(kept) {
		if !strings.HasPrefix(line, "//") {
			t.Errorf("executed: %s", line)
		}
	}
}

func TestIgnore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accepted.txt")
	hostile := []string{"unexpected:d.a:x*[1]", "missing:d.a/b", `different:d.\odd`}
	if err := drift.Accept(file, hostile, "because"); err != nil {
		t.Fatal(err)
	}
	list, err := drift.ReadIgnore(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []drift.Difference{
		{Kind: drift.Unexpected, Namespace: schema.Namespace{Database: "d", Collection: "a"}, Index: "x*[1]"},
		{Kind: drift.Missing, Namespace: schema.Namespace{Database: "d", Collection: "a/b"}},
		{Kind: drift.Different, Namespace: schema.Namespace{Database: "d", Collection: `\odd`}},
	} {
		if open, _ := list.Split([]drift.Difference{d}); len(open) > 0 {
			t.Errorf("%s is not accepted", d.ID())
		}
	}
	if open, _ := list.Split([]drift.Difference{{Kind: drift.Unexpected, Namespace: schema.Namespace{Database: "d", Collection: "a"}, Index: "xy1"}}); len(open) != 1 {
		t.Error("an accepted name is taken for a glob")
	}
	for _, text := range []string{"unexpected:d.a", "surplus:d.a # no such kind", "unexpected # no object", "unexpected:[ # no glob"} {
		if err := os.WriteFile(file, []byte("# comment\n\n"+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := drift.ReadIgnore(file); err == nil || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, id := range []string{"unexpected:d.a:two\nlines", "unexpected:d.a:ends ", "unexpected:d.a:x # y"} {
		if err := drift.Accept(file, []string{id}, "because"); err == nil {
			t.Errorf("%q was written", id)
		}
	}
}

// TestAcceptUnfinishedLine appends to a file whose last line has no line break.
func TestAcceptUnfinishedLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accepted.txt")
	if err := os.WriteFile(file, []byte("missing:d.a # why"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := drift.Accept(file, []string{"missing:d.b"}, "because"); err != nil {
		t.Fatal(err)
	}
	want := drift.Ignore{{Pattern: "missing:d.a", Reason: "why"}, {Pattern: "missing:d.b", Reason: "because"}}
	if got, err := drift.ReadIgnore(file); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSettling(t *testing.T) {
	var s drift.Settling
	d := []drift.Difference{{Kind: drift.Missing, Namespace: schema.Namespace{Database: "d", Collection: "a"}}}
	begin := time.Unix(1000, 0)
	for _, step := range []struct {
		after time.Duration
		all   []drift.Difference
		want  int
	}{
		{0, d, 0}, {59 * time.Second, d, 0}, {60 * time.Second, d, 1}, {61 * time.Second, nil, 0}, {62 * time.Second, d, 0}, {121 * time.Second, d, 0}, {122 * time.Second, d, 1},
	} {
		if got := s.Update(step.all, begin.Add(step.after), time.Minute)[drift.Missing]; got != step.want {
			t.Errorf("after %s: %d, want %d", step.after, got, step.want)
		}
	}
}

func ExampleDifference_ID() {
	d := drift.Difference{Kind: drift.Unexpected, Namespace: schema.Namespace{Database: "shop", Collection: "orders"}, Index: "amount_1"}
	fmt.Println(d.ID())
	// Output: unexpected:shop.orders:amount_1
}
