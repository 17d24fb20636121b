package drift

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/mongotest"
)

// longScript bounds one script.
const longScript = 2 * time.Minute

// openShell is a mongosh process that runs many scripts, because starting one is slow.
type openShell struct {
	in    io.Writer
	lines chan string
	dir   string
	count int
}

func newShell(t *testing.T, uri string) *openShell {
	t.Helper()
	path, err := mongotest.Mongosh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), path, uri, "--quiet", "--norc")
	cmd.Env = append(os.Environ(), "HOME="+home)
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	cmd.Stderr = cmd.Stdout
	if inErr != nil || outErr != nil {
		t.Fatal(inErr, outErr)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &openShell{in: in, lines: make(chan string, 64), dir: home}
	go func() {
		defer close(s.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			s.lines <- scan.Text()
		}
	}()
	t.Cleanup(func() {
		in.Close()
		for range s.lines {
		}
		// mongosh exits when its stdin is closed, or with the context.
		_ = cmd.Wait()
	})
	return s
}

// run runs one script and returns the error with which it failed.
func (s *openShell) run(t *testing.T, script string) error {
	t.Helper()
	s.count++
	file := filepath.Join(s.dir, fmt.Sprintf("script-%d.js", s.count))
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	marker := fmt.Sprintf("@@%d@@", s.count)
	if _, err := fmt.Fprintf(s.in, "try { load(%s); print('%s') } catch (e) { print('%s' + JSON.stringify(String(e))) }\n", quoted, marker, marker); err != nil {
		t.Fatal(err)
	}
	timeout := time.After(longScript)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				t.Fatal("mongosh ended")
			}
			if _, answer, found := strings.Cut(line, marker); found && answer != "" {
				return fmt.Errorf("mongosh: %s\n%s", answer, script)
			} else if found {
				return nil
			}
		case <-timeout:
			t.Fatalf("mongosh does not end:\n%s", script)
		}
	}
}
