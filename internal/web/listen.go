package web

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// unixPrefix begins the address of a Unix socket.
	unixPrefix = "unix:"
	// socketMode lets the owner and the group connect.
	socketMode = 0o660
	// dialLimit bounds the check whether a socket is in use.
	dialLimit = time.Second
)

// Listen opens host:port, or the Unix socket of unix:PATH. A stale socket is replaced; a socket in
// use, or a file of another kind, is an error.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(addr, unixPrefix)
	if !isUnix {
		return new(net.ListenConfig).Listen(ctx, "tcp", addr)
	}
	if err := checkStale(ctx, path); err != nil {
		return nil, err
	}
	// The socket gets its name when its mode is set: until then others could connect.
	hidden := path + "." + strconv.Itoa(os.Getpid())
	l, err := new(net.ListenConfig).Listen(ctx, "unix", hidden)
	if err != nil {
		return nil, fmt.Errorf("create the socket %s: %w", path, err)
	}
	if err := errors.Join(os.Chmod(hidden, socketMode), os.Rename(hidden, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("create the socket %s: %w", path, err), l.Close())
	}
	return unixListener{l, path}, nil
}

// checkStale returns an error unless the path does not exist, or is a socket on which no process
// listens.
func checkStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("check the socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket: remove it, or choose another path", path)
	}
	conn, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil //nolint:nilerr // nothing answers
	}
	return errors.Join(fmt.Errorf("the socket %s is in use by another process", path), conn.Close())
}

// unixListener removes the socket when it is closed.
type unixListener struct {
	net.Listener
	path string
}

// Addr is the path by which clients connect.
func (l unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close stops listening and removes the socket.
func (l unixListener) Close() error {
	err := l.Listener.Close()
	if missing := os.Remove(l.path); missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		err = errors.Join(err, missing)
	}
	return err
}
