package declaration_test

import (
	"path/filepath"
	"testing"

	"github.com/ddltail/ddltail/internal/declaration"
	"github.com/ddltail/ddltail/internal/schema"
)

// TestDumps: what mongodump wrote is what the same server listed, for each version.
func TestDumps(t *testing.T) {
	versions, err := filepath.Glob("testdata/dumps/*")
	if err != nil || len(versions) == 0 {
		t.Fatal("no dumps", err)
	}
	for _, folder := range versions {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			listed := read(t, filepath.Join(folder, "listing.json"))
			if len(listed) < 7 {
				t.Fatalf("%d namespaces were listed", len(listed))
			}
			for _, dump := range []string{"dump", "dump-gzip"} {
				same(t, read(t, filepath.Join(folder, dump)), listed)
			}
		})
	}
}

func read(t *testing.T, paths ...string) schema.Definitions {
	t.Helper()
	d, err := declaration.Read(paths...)
	if err != nil {
		t.Fatal(err)
	}
	return d.Definitions
}

func same(t *testing.T, got, want schema.Definitions) {
	t.Helper()
	for _, d := range schema.Diff(want, got, schema.ByName) {
		t.Errorf("%s differs: %+v, %+v", d.Namespace(), d.From, d.To)
	}
}
