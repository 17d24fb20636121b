// Package deploytest tests the files of deploy/ with real servers, a real mongosh, and the binary of the image.
package deploytest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

const (
	root   = "../.."
	deploy = root + "/deploy/replicaset"
	// patience bounds every wait.
	patience = time.Minute
)

// secured is a server that requires authentication, for all tests of users.
var secured *mongotest.ReplicaSet

func TestMain(m *testing.M) {
	tests := mongotest.Main{Tests: m, Set: &secured, Options: mongotest.Options{Auth: true}}
	goleak.VerifyTestMain(withImage{tests}, goleak.IgnoreCurrent())
}

// withImage builds the image's binary in a folder for all tests.
type withImage struct{ tests mongotest.Main }

func (w withImage) Run() int {
	dir, err := os.MkdirTemp("", "ddltail-image-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	built.dir = dir
	return w.tests.Run()
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	ok(t, err)
	return string(text)
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := bounded(t)
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// program is a command line with its environment, except PATH, HOME and what tools need.
type program struct {
	args  []string
	env   []string
	stdin string
}

// run returns the program's output and its exit code.
func (p program) run(t *testing.T) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(bounded(t), p.args[0], p.args[1:]...)
	cmd.Stdin = strings.NewReader(p.stdin)
	cmd.Env = append(bareEnvironment(), p.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.String(), exit.ExitCode()
	}
	ok(t, err)
	return out.String(), 0
}

func bareEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "DDLTAIL_") })
}

// mongosh returns the path of the shell that runs the scripts.
func mongosh(t *testing.T) string {
	t.Helper()
	path, err := mongotest.Mongosh(t.Context())
	ok(t, err)
	return path
}

// shellHome returns a home folder for mongosh's logs and configuration, with telemetry disabled.
func shellHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	config := filepath.Join(home, ".mongodb", "mongosh")
	ok(t, os.MkdirAll(config, 0o700))
	ok(t, os.WriteFile(filepath.Join(config, "config"), []byte(`{"enableTelemetry": false}`), 0o600))
	return home
}

// start runs the image's ddltail until the end of the test.
func start(t *testing.T, variables ...string) *ddltailtest.Process {
	t.Helper()
	return startCommand(t, []string{"run"}, variables...)
}

func startCommand(t *testing.T, args []string, variables ...string) *ddltailtest.Process {
	t.Helper()
	p, err := ddltailtest.Start(ddltail(t), args, variables...)
	ok(t, err)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close ddltail: %v", err)
		}
	})
	return p
}

// startReady starts ddltail and waits until it is ready.
func startReady(t *testing.T, variables ...string) *ddltailtest.Process {
	t.Helper()
	p := start(t, variables...)
	ok(t, p.WaitReady(bounded(t)))
	return p
}
