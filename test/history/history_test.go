// Package history queries past schemas with the binary, and compares them with what was
// recorded at those times.
package history

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

func TestMain(m *testing.M) { os.Exit(ddltailtest.WithBinary(&binary, func() int { return run(m) })) }

func run(m *testing.M) int {
	return mongotest.Main{Tests: m, Set: &set}.Run()
}

// start runs `ddltail run` until the test ends.
func start(t *testing.T, variables ...string) *ddltailtest.Process {
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
	return p
}

// command is one command line of the binary, with its output in a pipe.
type command struct {
	args, variables []string
}

// run returns its output and its exit code.
func (c command) run(t *testing.T) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs strings.Builder
	cmd := exec.CommandContext(ctx, binary, c.args...)
	cmd.Env = append(environment(), c.variables...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// ok returns its output, and fails the test if it fails.
func (c command) ok(t *testing.T) string {
	t.Helper()
	stdout, stderr, code := c.run(t)
	if code != 0 {
		t.Fatalf("ddltail %v: exit %d\n%s%s", c.args, code, stdout, stderr)
	}
	return stdout
}

func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "DDLTAIL_") && !strings.HasPrefix(v, "COLUMNS=") {
			env = append(env, v)
		}
	}
	return append(env, "TZ=UTC")
}

// shell runs a script with mongosh.
func shell(t *testing.T, uri, script string) {
	t.Helper()
	home := t.TempDir()
	file := filepath.Join(home, "script.js")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	shellFile(t, uri, file)
	if t.Failed() {
		t.Logf("the script:\n%s", script)
	}
}

func shellFile(t *testing.T, uri, file string, variables ...string) {
	t.Helper()
	path, err := mongotest.Mongosh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, uri, "--quiet", "--norc", "--file", file)
	cmd.Env = append(append(os.Environ(), "HOME="+t.TempDir(), "NO_COLOR=1"), variables...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("mongosh: %v\n%s", err, out)
	}
}
