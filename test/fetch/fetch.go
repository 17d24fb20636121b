// Package fetch finds or fetches what tests need, by the scripts that make targets use too.
package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrUnavailable is returned if what a script fetches is not available for this machine.
var ErrUnavailable = errors.New("not available for this machine")

// exitUnavailable is the exit code of a script for ErrUnavailable.
const exitUnavailable = 3

// Path runs a script of the folder scripts, such as mongod.sh, and returns the path that it prints as
// the last line of its stdout. Its stderr is passed through.
func Path(ctx context.Context, name string, args ...string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", fmt.Errorf("find scripts/%s: %w", name, err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", name), args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitUnavailable {
		return "", fmt.Errorf("run scripts/%s: %w", name, ErrUnavailable)
	}
	if err != nil {
		return "", fmt.Errorf("run scripts/%s: %w", name, err)
	}
	lines := strings.Split(string(bytes.TrimSpace(out)), "\n")
	return lines[len(lines)-1], nil
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the working directory is not inside the module")
		}
		dir = parent
	}
}
