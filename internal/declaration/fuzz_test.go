package declaration_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/ddltail/ddltail/internal/declaration"
)

// The readers of untrusted text: a mistake has its place, nothing panics, and what was
// read is written and read again as the same.

func FuzzScript(f *testing.F)   { fuzz(f, "schema.js", ".js") }
func FuzzJSON(f *testing.F)     { fuzz(f, "schema.json", ".json") }
func FuzzYAML(f *testing.F)     { fuzz(f, "schema.yaml", ".yaml") }
func FuzzMetadata(f *testing.F) { fuzz(f, "orders.metadata.json", ".json") }

func fuzz(f *testing.F, name, extension string) {
	for _, path := range []string{"testdata/forms.txtar", "testdata/mistakes.txtar"} {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if filepath.Ext(file.Name) == extension {
				f.Add(file.Data)
			}
		}
	}
	if name == "orders.metadata.json" {
		dumps, err := filepath.Glob("testdata/dumps/*/dump/*/*.metadata.json")
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range dumps {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := filepath.Join(t.TempDir(), "shop")
		path := filepath.Join(dir, name)
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
		d, err := declaration.Read(path)
		if err != nil {
			placed(t, err)
			return
		}
		again := filepath.Join(dir, "again.json")
		if err := declaration.Write(again, d.Definitions); err != nil {
			t.Fatal(err)
		}
		written, err := declaration.Read(again)
		if err != nil {
			text, _ := os.ReadFile(again)
			t.Fatalf("%v\n%s", err, text)
		}
		same(t, written.Definitions, d.Definitions)
	})
}

// placed checks that an error is a mistake in the file, at a place that exists.
func placed(t *testing.T, err error) {
	t.Helper()
	var mistake *declaration.Error
	if !errors.As(err, &mistake) || mistake.Problem == "" || mistake.Line < 0 || mistake.Line > 0 && mistake.Column < 1 {
		t.Errorf("no place: %#v", err)
	}
}
