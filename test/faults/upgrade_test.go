package faults

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// lastRelease is the commit of 0.1.0. Stored data outlives releases in both directions.
const lastRelease = "a1e894e"

// buildRelease builds ddltail as it was at a commit, in a folder of its own. It skips the test where the history is not there: a
// shallow clone, or sources without git.
func buildRelease(t *testing.T, commit string) string {
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

// TestUpgradeAndRollback runs the last release and this one in turn on one database, with kill -9 between, under DDL.
func TestUpgradeAndRollback(t *testing.T) {
	old := buildRelease(t, lastRelease)
	s := newScene(t)
	p := s.runRelease(old)
	s.ready(p)
	s.startLoad()
	for i := range 4 * times() {
		s.while(300, 1200)
		s.kill(p)
		if i%2 == 0 {
			p = s.run()
		} else {
			p = s.runRelease(old)
		}
		s.ready(p)
	}
	s.check()
}

// TestReleasesShareAFile: whichever release has the file of a sink open, the other one refuses it.
func TestReleasesShareAFile(t *testing.T) {
	old := buildRelease(t, lastRelease)
	s := newScene(t)
	file := filepath.Join(t.TempDir(), "changes.ndjson")
	for _, pair := range [][2]string{{old, binary}, {binary, old}} {
		sinks := "DDLTAIL_SINKS=file:" + file
		first := s.runRelease(pair[0], sinks, "DDLTAIL_NAME=first")
		s.ready(first)
		second := s.runRelease(pair[1], sinks, "DDLTAIL_NAME=second")
		s.refused(second, file)
		s.stop(first)
	}
}

// refused waits for a process that ends with exit code 2 and names what it refuses.
func (s *scene) refused(p *ddltailtest.Process, name string) {
	s.Helper()
	code, err := p.Wait(s.Context())
	s.must(err)
	if text := p.Stderr(); code != 2 || !strings.Contains(text, name) {
		s.Errorf("exit code %d, want 2 with a word on %s:\n%s", code, name, last(text))
	}
	s.forget(p)
	s.must(p.Close())
}
