package ddltailtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// LastRelease is the commit of 0.1.0. Upgrade and rollback tests run it.
const LastRelease = "a1e894e"

// BuildRelease builds ddltail at a commit in a temporary folder. It skips the test if the commit is not available, as in a
// shallow clone or without git.
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
