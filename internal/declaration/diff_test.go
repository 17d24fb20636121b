package declaration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/declaration"
)

// TestDiff: a changed index is a few lines in git, in every form.
func TestDiff(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is needed")
	}
	dir := t.TempDir()
	script := large(t, "schema.js", 20, 3)
	before := read(t, script)
	after := read(t, large(t, "schema.js", 20, 3))
	for ns, def := range after {
		if ns.Collection != "orders_7" {
			continue
		}
		changed := read(t, write(t, "db.createCollection('x'); db.x.createIndex({email: 1}, {unique: true, sparse: true})"))
		for _, other := range changed {
			after[ns] = def.WithIndex(other.Index("email_1"))
		}
	}
	for _, name := range []string{"schema.js", "schema.json", "schema.yaml", "folder"} {
		one, two := filepath.Join(dir, "before-"+name), filepath.Join(dir, "after-"+name)
		for _, err := range []error{declaration.Write(one, before), declaration.Write(two, after)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		// It exits with 1 where there is a difference.
		out, _ := exec.CommandContext(t.Context(), "git", "diff", "--no-index", "--numstat", one, two).Output()
		fields := strings.Fields(string(out))
		if len(fields) < 2 || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %q", name, out)
			continue
		}
		added, _ := strconv.Atoi(fields[0])
		removed, _ := strconv.Atoi(fields[1])
		if added+removed > 4 || added == 0 {
			t.Errorf("%s: %d lines are added, %d removed", name, added, removed)
		}
	}
}

func write(t *testing.T, statements string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "schema.js")
	if err := os.WriteFile(path, []byte("use shop\n"+strings.ReplaceAll(statements, "; ", "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
