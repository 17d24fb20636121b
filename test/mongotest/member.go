package mongotest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/ddltail/ddltail/test/mongotest/procgroup"
)

// Member is one server: a member of a replica set, or a standalone server.
type Member struct {
	group   *procgroup.Group
	binary  string
	args    []string // but for the port and the folder
	clock   Clock
	key     key
	port    Port
	dir     string
	login   bool // whether there is the root user to log in as
	arbiter bool
	logFile bool // whether the server opens its log itself
	process *procgroup.Process
}

// newMember starts a server with the template's group, program, key and arguments, on a port and in a folder of its own, and waits
// until it accepts connections, whatever state it is in then.
func newMember(ctx context.Context, template Member) (*Member, error) {
	for {
		m := template
		err := m.settle()
		if err == nil {
			err = m.start(ctx, m.args)
		}
		if err == nil {
			return &m, nil
		}
		if err := errors.Join(err, m.port.Release()); !errors.Is(err, errPortTaken) {
			return nil, err
		}
	}
}

func (m *Member) settle() (err error) {
	if m.port, err = ReservePort(); err != nil {
		return err
	}
	m.dir = filepath.Join(m.group.Dir(), strconv.Itoa(m.port.Number))
	return os.MkdirAll(m.DBPath(), 0o700)
}

// Addr is the member's host and port.
func (m *Member) Addr() string { return fmt.Sprintf("127.0.0.1:%d", m.port.Number) }

// URI is the connection string of a direct connection to this member alone.
func (m *Member) URI() string {
	if m.login {
		return m.direct().as(RootUser, RootPassword).String()
	}
	return m.direct().String()
}

func (m *Member) direct() uri { return uri{hosts: m.Addr(), query: directQuery} }

// DBPath is the member's data folder.
func (m *Member) DBPath() string { return filepath.Join(m.dir, "db") }

// Log is the path of the file with all that the server has written.
func (m *Member) Log() string { return filepath.Join(m.dir, "log") }

// Pid is the id of the server's process, or of its last one where it is down.
func (m *Member) Pid() int { return m.process.Pid() }

// Kill ends the server at once (SIGKILL), a paused one too. One that is down already is no error.
func (m *Member) Kill() error { return m.process.Kill() }

// Pause stops the server (SIGSTOP) until Resume: its connections stay open and nothing answers.
func (m *Member) Pause() error { return m.process.Pause() }

// Resume lets a paused server go on.
func (m *Member) Resume() error { return m.process.Resume() }

// Shutdown ends the server in good order and waits for its end. A primary hands over first.
func (m *Member) Shutdown(ctx context.Context) error {
	if err := m.process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("shut down %s: %w", m.Addr(), err)
	}
	select {
	case <-m.process.Exited():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shut down %s: %w", m.Addr(), ctx.Err())
	}
}

// Restart ends the server where it still runs (SIGKILL), and starts it on the same port and data with further arguments. It
// returns when the server accepts connections; [ReplicaSet.WaitReady] waits for its state in the set.
func (m *Member) Restart(ctx context.Context, args ...string) error {
	return m.restart(ctx, append(m.args[:len(m.args):len(m.args)], args...))
}

// RestartStandalone is Restart without the options that make the server a member and demand authentication: how people repair a
// member, or build an index on it alone. Shutdown must come first: a standalone server does not replay the oplog, so that after a
// SIGKILL it has only what the last checkpoint held.
func (m *Member) RestartStandalone(ctx context.Context, args ...string) error {
	return m.restart(ctx, append(standaloneArgs(m.args), args...))
}

func (m *Member) restart(ctx context.Context, args []string) error {
	if err := m.Kill(); err != nil {
		return err
	}
	return m.start(ctx, args)
}

// Backup copies the data folder of a server that is down to the folder to, which must not exist.
func (m *Member) Backup(to string) error {
	if err := m.mustBeDown(); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(m.DBPath()))
}

// Restore puts a copy that Backup made in the place of the data of a server that is down.
func (m *Member) Restore(from string) error {
	if err := m.Wipe(); err != nil {
		return err
	}
	return os.CopyFS(m.DBPath(), os.DirFS(from))
}

// Wipe deletes the data of a server that is down. Restarted, a member syncs afresh.
func (m *Member) Wipe() error {
	if err := m.mustBeDown(); err != nil {
		return err
	}
	if err := os.RemoveAll(m.DBPath()); err != nil {
		return err
	}
	return os.Mkdir(m.DBPath(), 0o700)
}

func (m *Member) mustBeDown() error {
	select {
	case <-m.process.Exited():
		return nil
	default:
		return fmt.Errorf("%s is running", m.Addr())
	}
}
