package ddltailtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// LastRelease is the commit of 0.1.0. Stored data outlives releases in both directions.
const LastRelease = "a1e894e"

// BuildRelease builds ddltail as it was at a commit, in a folder of its own. It skips the test where the history is not there: a
// shallow clone, or sources without git.
func BuildRelease(t *testing.T, commit string) string {
	t.Helper()
	root := command(t, "", "go", "list", "-m", "-f", "{{.Dir}}")
	if err := exec.CommandContext(t.Context(), "git", "-C", root, "cat-file", "-e", commit+"^{commit}").Run(); err != nil {
		t.Skipf("the history holds no %s: %v", commit, err)
	}
	dir := t.TempDir()
	archive := filepath.Join(dir, "source.tar")
	command(t, root, "git", "archive", "--output", archive, commit)
	command(t, dir, "tar", "-xf", archive)
	old := filepath.Join(dir, "ddltail-"+commit)
	command(t, dir, "go", "build", "-o", old, "./cmd/ddltail")
	return old
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
