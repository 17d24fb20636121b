package mongotest

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

// ErrNoServer is returned if the requested mongod is not available for this machine.
var ErrNoServer = errors.New("no mongod of that version for this machine")

// exitUnavailable is the exit code of scripts/mongod.sh if there is no mongod for the
// platform.
const exitUnavailable = 3

// binary returns the path of the mongod to run, from the script that `make mongod` also uses.
func binary(ctx context.Context, version string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", fmt.Errorf("find scripts/mongod.sh: %w", err)
	}
	var args []string
	if version != "" {
		args = append(args, version)
	}
	path, err := lastLine(ctx, filepath.Join(root, "scripts", "mongod.sh"), args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitUnavailable {
		return "", ErrNoServer
	}
	if err != nil {
		return "", fmt.Errorf("find or fetch mongod %s: %w", version, err)
	}
	return path, nil
}

// ServerMajor returns the major version of the default server.
func ServerMajor(ctx context.Context) (int, error) {
	path, err := binary(ctx, "")
	if err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("run %s --version: %w", path, err)
	}
	var major int
	if _, err := fmt.Sscanf(string(out), "db version v%d.", &major); err != nil {
		return 0, fmt.Errorf("read the version of %s: %w", path, err)
	}
	return major, nil
}

// Mongosh returns the path of the shell that `make mongosh` finds or downloads.
func Mongosh(ctx context.Context) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", fmt.Errorf("find scripts/mongosh.sh: %w", err)
	}
	path, err := lastLine(ctx, filepath.Join(root, "scripts", "mongosh.sh"))
	if err != nil {
		return "", fmt.Errorf("find or fetch mongosh: %w", err)
	}
	return path, nil
}

// lastLine runs a script and returns the last line of its stdout; its stderr is passed
// through.
func lastLine(ctx context.Context, script string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, script, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", err
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
