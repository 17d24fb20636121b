//go:build linux

// Package pty runs programs in a terminal of a given width, to see what a person
// would see.
package pty

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Run runs a command whose stdout and stderr are a terminal, and gives all that it
// wrote there, line ends as programs write them. The error is that of the command.
func Run(ctx context.Context, cmd *exec.Cmd, columns, rows uint16) (string, error) {
	master, terminal, err := open(columns, rows)
	if err != nil {
		return "", err
	}
	defer master.Close()
	cmd.Stdout, cmd.Stderr = terminal, terminal
	if err := cmd.Start(); err != nil {
		terminal.Close()
		return "", fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	terminal.Close()
	stop := context.AfterFunc(ctx, func() { master.Close() })
	defer stop()
	var out bytes.Buffer
	// A terminal that nobody has open any more reads as an input error.
	if _, err := io.Copy(&out, master); err != nil && !errors.Is(err, syscall.EIO) {
		return "", errors.Join(fmt.Errorf("read the terminal: %w", err), cmd.Wait())
	}
	return string(bytes.ReplaceAll(out.Bytes(), []byte("\r\n"), []byte("\n"))), cmd.Wait()
}

// open returns both ends of a new terminal.
func open(columns, rows uint16) (master, terminal *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("unlock the terminal: %w", err), master.Close())
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("name the terminal: %w", err), master.Close())
	}
	terminal, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the terminal's other end: %w", err), master.Close())
	}
	err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("size the terminal: %w", err), master.Close(), terminal.Close())
	}
	return master, terminal, nil
}
