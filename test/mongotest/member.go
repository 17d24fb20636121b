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
	args    []string // without port and folder
	clock   Clock
	key     key
	port    Port
	dir     string
	login   bool // whether the root user exists
	arbiter bool
	logFile bool // whether the server has a --logpath
	process *procgroup.Process
}

// newMember starts a server with the template's group, program, key and arguments, on its own port and in its own folder, and
// waits until it accepts connections, in any state.
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

// Addr returns the member's host and port.
func (m *Member) Addr() string { return fmt.Sprintf("127.0.0.1:%d", m.port.Number) }

// URI returns the connection string of a direct connection to this member.
func (m *Member) URI() string {
	if m.login {
		return m.direct().as(RootUser, RootPassword).String()
	}
	return m.direct().String()
}

func (m *Member) direct() uri { return uri{hosts: m.Addr(), query: directQuery} }

// DBPath returns the member's data folder.
func (m *Member) DBPath() string { return filepath.Join(m.dir, "db") }

// Log returns the path of the server's log file.
func (m *Member) Log() string { return filepath.Join(m.dir, "log") }

// Pid returns the id of the server's process, or of its last one if it is stopped.
func (m *Member) Pid() int { return m.process.Pid() }

// Kill kills the server (SIGKILL), even if it is paused. It is idempotent.
func (m *Member) Kill() error { return m.process.Kill() }

// Pause stops the server (SIGSTOP) until Resume: its connections stay open without replies.
func (m *Member) Pause() error { return m.process.Pause() }

// Resume continues a paused server.
func (m *Member) Resume() error { return m.process.Resume() }

// Shutdown shuts the server down cleanly and waits for its end. A primary steps down first.
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

// Restart kills the server if it is running, and starts it on the same port and data with additional arguments. It returns
// when the server accepts connections; [ReplicaSet.WaitReady] waits for its state in the set.
func (m *Member) Restart(ctx context.Context, args ...string) error {
	return m.restart(ctx, append(m.args[:len(m.args):len(m.args)], args...))
}

// RestartStandalone is Restart without the options for replication and authentication, as for a repair or a rolling index build.
// Call Shutdown first: a standalone does not replay the oplog, so that after a SIGKILL it has only the data of the last
// checkpoint.
func (m *Member) RestartStandalone(ctx context.Context, args ...string) error {
	return m.restart(ctx, append(standaloneArgs(m.args), args...))
}

func (m *Member) restart(ctx context.Context, args []string) error {
	if err := m.Kill(); err != nil {
		return err
	}
	return m.start(ctx, args)
}

// Backup copies the data folder of a stopped server to the folder to, which must not exist.
func (m *Member) Backup(to string) error {
	if err := m.mustBeDown(); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(m.DBPath()))
}

// Restore replaces the data of a stopped server by a copy that Backup created.
func (m *Member) Restore(from string) error {
	if err := m.Wipe(); err != nil {
		return err
	}
	return os.CopyFS(m.DBPath(), os.DirFS(from))
}

// Wipe deletes the data of a stopped server. After a restart the member does an initial
// sync.
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
