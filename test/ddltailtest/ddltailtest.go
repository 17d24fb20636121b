// Package ddltailtest runs the real ddltail binary, for tests and for the demo.
package ddltailtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/mongotest/procgroup"
)

// poll is the interval at which a state is checked while waiting for it.
const poll = 10 * time.Millisecond

// Build compiles ddltail into a folder and returns the path of the binary.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "ddltail")
	args, cgo := []string{"build"}, "CGO_ENABLED=0"
	if raceDetector { // which needs cgo
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", binary, "github.com/ddltail/ddltail/cmd/ddltail")...)
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ddltail: %w\n%s", err, out)
	}
	return binary, nil
}

// SkipMemory skips a test of ddltail's memory under the race detector, which needs a multiple of it.
func SkipMemory(t *testing.T) {
	if raceDetector {
		t.Skip("memory is not measured under the race detector")
	}
}

// WithBinary builds ddltail in a temporary folder, sets *binary to its path, runs the
// tests and returns their exit code. It is called by TestMain.
func WithBinary(binary *string, tests func() int) int {
	dir, err := os.MkdirTemp("", "ddltail-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		*binary, err = Build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return tests()
}

// Process is one running ddltail. It is killed when the program that started it ends,
// even by a crash.
type Process struct {
	group          *procgroup.Group
	process        *procgroup.Process
	stdout, stderr string
}

// Start runs a command line of the binary with only these variables of ddltail
// ("NAME=value"). HTTP is served on a free port unless they set an address. The caller
// must call Close.
func Start(binary string, args []string, variables ...string) (*Process, error) {
	path, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	group, err := procgroup.New("ddltail-")
	if err != nil {
		return nil, err
	}
	p := &Process{
		group:  group,
		stdout: filepath.Join(group.Dir(), "stdout"),
		stderr: filepath.Join(group.Dir(), "stderr"),
	}
	if err := p.start(exec.Command(path, args...), variables); err != nil {
		return nil, errors.Join(err, group.Close())
	}
	return p, nil
}

func (p *Process) start(cmd *exec.Cmd, variables []string) error {
	stdout, err := os.Create(p.stdout)
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := os.Create(p.stderr)
	if err != nil {
		return err
	}
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "DDLTAIL_") })
	cmd.Env = append(cmd.Env, "DDLTAIL_HTTP_ADDR=127.0.0.1:0")
	cmd.Env = append(cmd.Env, variables...)
	p.process, err = p.group.Start(cmd)
	return err
}

// URL returns where the process serves HTTP; empty until it has logged the address.
func (p *Process) URL() string {
	for line := range strings.Lines(p.Stderr()) {
		var entry struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving HTTP" {
			return "http://" + entry.Address
		}
	}
	return ""
}

// Stdout returns the output of the process so far.
func (p *Process) Stdout() string { return contents(p.stdout) }

// Stderr returns the log of the process so far.
func (p *Process) Stderr() string { return contents(p.stderr) }

// Failure returns the errors with which the process ended, one per line.
func (p *Process) Failure() string {
	var out strings.Builder
	for line := range strings.Lines(p.Stderr()) {
		var entry struct{ Msg, Error string }
		switch text, ok := strings.CutPrefix(line, "ddltail: "); {
		case ok:
			out.WriteString(text)
		case json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "ddltail failed":
			out.WriteString(entry.Error + "\n")
		}
	}
	return out.String()
}

// contents returns the content of a file; empty if it cannot be read, so that a test that
// looks for a text in it fails.
func contents(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// WaitReady waits until /readyz returns 200.
func (p *Process) WaitReady(ctx context.Context) error {
	for {
		if p.URL() != "" {
			if status, _, err := p.Get(ctx, "/readyz"); err == nil && status == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.process.Exited():
			return fmt.Errorf("ddltail ended before it was ready: %w\n%s", p.process.Wait(), p.Stderr())
		case <-ctx.Done():
			return fmt.Errorf("ddltail is not ready: %w\n%s", ctx.Err(), p.Stderr())
		case <-time.After(poll):
		}
	}
}

// WaitLog waits until the log contains text. Some lines are logged only after the process
// is ready.
func (p *Process) WaitLog(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for !strings.Contains(p.Stderr(), text) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("ddltail has not logged %q: %w\n%s", text, ctx.Err(), p.Stderr())
		case <-time.After(poll):
		}
	}
	return nil
}

// Get sends a GET request to the process and returns status and body.
func (p *Process) Get(ctx context.Context, path string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL()+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// Wait waits for the end of the process and returns its exit code.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.process.Exited():
	case <-ctx.Done():
		return 0, fmt.Errorf("ddltail has not ended: %w\n%s", ctx.Err(), p.Stderr())
	}
	err := p.process.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// Stop sends SIGTERM and returns the exit code.
func (p *Process) Stop(ctx context.Context) (int, error) {
	if err := p.process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	return p.Wait(ctx)
}

// Kill ends the process at once (SIGKILL).
func (p *Process) Kill() error { return p.process.Kill() }

// Pause stops the process (SIGSTOP) until Resume.
func (p *Process) Pause() error { return p.process.Pause() }

// Resume continues a paused process (SIGCONT).
func (p *Process) Resume() error { return p.process.Resume() }

// Hangup sends SIGHUP.
func (p *Process) Hangup() error { return p.process.Signal(syscall.SIGHUP) }

// Pid returns the process id.
func (p *Process) Pid() int { return p.process.Pid() }

// Close kills the process if it is running, and removes its output files.
func (p *Process) Close() error { return p.group.Close() }

// Metric returns one sample of /metrics by its name, with its labels as in the output.
func (p *Process) Metric(ctx context.Context, name string) (float64, error) {
	status, body, err := p.Get(ctx, "/metrics")
	if err != nil || status != http.StatusOK {
		return 0, fmt.Errorf("read /metrics: status %d: %w", status, err)
	}
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("no sample %s in /metrics", name)
}
