package mongosh_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// shell runs the real mongosh against a real server.
type shell struct{ binary, uri, home string }

// config keeps mongosh from calling home and from writing logs.
const config = `{"userId": "0", "telemetryAnonymousId": "0", "enableTelemetry": false, "disableLogging": true}`

func newShell(t *testing.T, binary, uri string) shell {
	t.Helper()
	s := shell{binary, uri, t.TempDir()}
	dir := filepath.Join(s.home, ".mongodb", "mongosh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatalf("make the shell's home: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		t.Fatalf("write the shell's config: %v", err)
	}
	return s
}

// file runs a script from a file and returns what it printed.
func (s shell) file(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.js")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatalf("write the script: %v", err)
	}
	return s.run(t, "", "--file", path)
}

// eval runs each text by an --eval of its own.
func (s shell) eval(t *testing.T, texts []string) string {
	t.Helper()
	var args []string
	for _, text := range texts {
		args = append(args, "--eval", text)
	}
	return s.run(t, "", args...)
}

// pipe runs lines from standard input.
func (s shell) pipe(t *testing.T, lines string) string {
	t.Helper()
	return s.run(t, lines)
}

func (s shell) run(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary, append([]string{s.uri, "--quiet", "--norc"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HOME="+s.home, "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("mongosh %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// each runs statements one after the other, whether those before worked or
// not, and returns the message of each that failed by its index.
func (s shell) each(t *testing.T, statements []string) map[int]string {
	t.Helper()
	var script bytes.Buffer
	for i, statement := range statements {
		fmt.Fprintf(&script, "try {\n%s\n} catch (e) { print('failed %d ' + JSON.stringify(e.message)) }\n", statement, i)
	}
	failed := make(map[int]string)
	for line := range strings.Lines(s.file(t, script.String())) {
		var i int
		var why string
		if n, _ := fmt.Sscanf(line, "failed %d %q", &i, &why); n >= 1 {
			failed[i] = line
		}
	}
	return failed
}

// mustEach fails the test for each statement that fails.
func (s shell) mustEach(t *testing.T, statements []string) {
	t.Helper()
	if slices.Contains(statements, "") {
		t.Errorf("a statement is missing: %q", statements)
	}
	for i, why := range s.each(t, statements) {
		t.Errorf("%s\n%s", statements[i], why)
	}
}
