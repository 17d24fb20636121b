package mongotest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/ddltail/ddltail/test/fetch"
)

// ErrNoServer is returned if the requested mongod is not available for this machine.
var ErrNoServer = errors.New("no mongod of that version for this machine")

// binary returns the path of the mongod to run, from the script that `make mongod` also uses.
func binary(ctx context.Context, version string) (string, error) {
	var args []string
	if version != "" {
		args = append(args, version)
	}
	path, err := fetch.Path(ctx, "mongod.sh", args...)
	if errors.Is(err, fetch.ErrUnavailable) {
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
	path, err := fetch.Path(ctx, "mongosh.sh")
	if err != nil {
		return "", fmt.Errorf("find or fetch mongosh: %w", err)
	}
	return path, nil
}
