//go:build linux

// Package terminal runs programs in a terminal of a given width, to see what a person
// would see.
package terminal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"

	"github.com/creack/pty"
)

// Run runs a command whose stdout and stderr are a terminal, and returns all that it
// wrote there, with line ends as programs write them. The error is that of the command.
func Run(ctx context.Context, cmd *exec.Cmd, columns, rows uint16) (string, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return "", fmt.Errorf("open a terminal: %w", err)
	}
	defer master.Close()
	if err := pty.Setsize(master, &pty.Winsize{Cols: columns, Rows: rows}); err != nil {
		return "", errors.Join(fmt.Errorf("size the terminal: %w", err), slave.Close())
	}
	cmd.Stdout, cmd.Stderr = slave, slave
	if err := cmd.Start(); err != nil {
		slave.Close()
		return "", fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	slave.Close()
	stop := context.AfterFunc(ctx, func() { master.Close() })
	defer stop()
	var out bytes.Buffer
	// Reading a terminal that no process has open any more is an input error.
	if _, err := io.Copy(&out, master); err != nil && !errors.Is(err, syscall.EIO) {
		return "", errors.Join(fmt.Errorf("read the terminal: %w", err), cmd.Wait())
	}
	return string(bytes.ReplaceAll(out.Bytes(), []byte("\r\n"), []byte("\n"))), cmd.Wait()
}
