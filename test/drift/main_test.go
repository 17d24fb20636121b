// Package drift compares live schemas with declarations, through the real binary.
package drift

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

var (
	set    *mongotest.ReplicaSet
	binary string
)

func TestMain(m *testing.M) {
	os.Exit(ddltailtest.WithBinary(&binary, func() int { return mongotest.Main{Tests: m, Set: &set}.Run() }))
}

// answer is the output of one command line.
type answer struct {
	stdout, stderr string
	code           int
}

// ddltail runs a command line and waits for its end.
func ddltail(t *testing.T, variables []string, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs strings.Builder
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"TZ=UTC", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, variables...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return answer{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// want fails the test if the exit code differs.
func (a answer) want(t *testing.T, code int) string {
	t.Helper()
	if a.code != code {
		t.Fatalf("exit code %d, want %d\n%s%s", a.code, code, a.stdout, a.stderr)
	}
	return a.stdout
}

// detect runs `ddltail run` until the test ends.
func detect(t *testing.T, variables []string) {
	t.Helper()
	p, err := ddltailtest.Start(binary, []string{"run"}, variables...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ddltail run:\n%s", p.Stderr())
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// shell runs a script with mongosh.
func shell(t *testing.T, uri, script string) {
	t.Helper()
	path, err := mongotest.Mongosh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	file := filepath.Join(home, "script.js")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, uri, "--quiet", "--norc", "--file", file)
	cmd.Env = append(os.Environ(), "HOME="+home)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mongosh: %v\n%s\nthe script:\n%s", err, out, script)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
