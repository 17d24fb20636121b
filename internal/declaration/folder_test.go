package declaration_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/declaration"
	"github.com/ddltail/ddltail/internal/schema"
)

// TestLinkedFolder reads folders through links, as a ConfigMap with a path has them.
func TestLinkedFolder(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "..data", "shop"), 0o755),
		os.WriteFile(filepath.Join(dir, "..data", "shop", "a.js"), []byte("use shop\ndb.createCollection('a')"), 0o600),
		os.Symlink(filepath.Join("..data", "shop"), filepath.Join(dir, "shop")),
		os.Symlink("none", filepath.Join(dir, "README")),
		os.Symlink(dir, filepath.Join(dir, "..data", "mounted")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "shop"), filepath.Join(dir, "..data", "mounted")} {
		if all := read(t, path); len(all) != 1 {
			t.Errorf("%s: %v", path, all.Namespaces())
		}
		before, err := declaration.Fingerprint(path)
		if err != nil || !strings.Contains(before, "a.js") {
			t.Errorf("%s: %q, %v", path, before, err)
		}
	}
	if err := os.Symlink(dir, filepath.Join(dir, "again")); err != nil {
		t.Fatal(err)
	}
	if _, err := declaration.Read(dir); err == nil || !strings.Contains(err.Error(), "a folder that contains it") {
		t.Errorf("a circle of links: %v", err)
	}
}

// TestLongNames writes names that escaped are longer than a file's name can be.
func TestLongNames(t *testing.T) {
	all := read(t, write(t, "db.createCollection('"+strings.Repeat("日", 70)+"a'); db.createCollection('"+strings.Repeat("日", 70)+"b')"))
	folder := filepath.Join(t.TempDir(), "folder")
	if err := declaration.Write(folder, all); err != nil {
		t.Fatal(err)
	}
	again := read(t, folder)
	if got, want := again.Namespaces(), all.Namespaces(); !slices.Equal(got, want) || len(schema.Diff(all, again, schema.ByName)) > 0 {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestIndexesOnID keeps all but the index that every collection has.
func TestIndexesOnID(t *testing.T) {
	for key, want := range map[string]int{"1": 0, "-1": 0, "NumberLong(1)": 0, "1.5": 0, "'text'": 1, "'hashed'": 1, "'2d'": 1} {
		all := read(t, write(t, "db.createCollection('x'); db.x.createIndex({_id: "+key+"})"))
		for ns, def := range all {
			if len(def.Indexes) != want {
				t.Errorf("{_id: %s} is %v of %s", key, def.Indexes, ns)
			}
		}
	}
}
