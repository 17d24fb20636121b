package declaration_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/ddltail/ddltail/internal/declaration"
)

var update = flag.Bool("update", false, "rewrite the expected errors")

// TestMistakes: each names the file, the line and the column, and what was expected.
func TestMistakes(t *testing.T) {
	const path = "testdata/mistakes.txtar"
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range archive.Files {
		if strings.HasSuffix(f.Name, ".error") {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.WriteFile(f.Name, f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := declaration.Read(f.Name)
			if err == nil {
				t.Fatal("was read")
			}
			expected := &archive.Files[i+1]
			if got := err.Error() + "\n"; got != string(expected.Data) {
				if *update {
					expected.Data = []byte(got)
					return
				}
				t.Errorf("got  %swant %s", got, expected.Data)
			}
		})
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestForms: one schema in every form is one declaration.
func TestForms(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/forms.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var paths []string
	for _, f := range archive.Files {
		path := filepath.Join(dir, f.Name)
		paths = append(paths, path)
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := read(t, paths[0])
	for _, path := range paths[1:] {
		t.Run(filepath.Base(path), func(t *testing.T) { same(t, read(t, path), want) })
	}
	for _, name := range []string{"written.js", "written.json", "written.yaml", "written.yml", "written"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			if err := declaration.Write(path, want); err != nil {
				t.Fatal(err)
			}
			same(t, read(t, path), want)
		})
	}
}
