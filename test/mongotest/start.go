package mongotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

// errPortTaken is returned if another process has taken the port before the server could bind it.
var errPortTaken = errors.New("port taken")

// exitNetwork is mongod's exit code when it cannot bind its port.
const exitNetwork = 48

// start runs the server and waits until its log shows that it accepts connections. The log is reliable: an open port may
// belong to another process, and the driver does not support every version.
func (m *Member) start(ctx context.Context, args []string) error {
	log, err := os.OpenFile(m.Log(), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	written, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	args = append([]string{"--dbpath", m.DBPath(), "--port", strconv.Itoa(m.port.Number)}, args...)
	if m.logFile {
		args = append(args, "--logpath", m.Log(), "--logappend")
	}
	cmd := exec.Command(m.binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), m.clock.environment()...)
	if m.process, err = m.group.Start(cmd); err != nil {
		return fmt.Errorf("start mongod: %w", err)
	}
	// A server that recovers from a SIGKILL logs all DDL that it replays, megabytes of it, before it accepts connections.
	var text []byte
	err = poll(ctx, "mongod to accept connections", func(context.Context) error {
		more, err := io.ReadAll(io.NewSectionReader(log, written, math.MaxInt64-written))
		if err != nil {
			return giveUp{err}
		}
		written += int64(len(more))
		text = append(slices.Clone(lastLines(text)), more...)
		return m.listening(text)
	})
	if err != nil {
		return errors.Join(err, m.Kill())
	}
	return nil
}

// listening returns nil if the log shows that the server accepts connections. Versions differ in the case of
// the first letter.
func (m *Member) listening(log []byte) error {
	if bytes.Contains(log, []byte("aiting for connections")) {
		return nil
	}
	select {
	case <-m.process.Exited():
	default:
		return errors.New("not yet in its log")
	}
	err := m.process.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitNetwork {
		return giveUp{errPortTaken}
	}
	return giveUp{fmt.Errorf("mongod ended: %w; end of its log:\n%s", err, lastLines(log))}
}

func lastLines(log []byte) []byte {
	const most = 2000
	return log[max(0, len(log)-most):]
}

// standaloneArgs removes the arguments for replication and authentication, each of which has a value.
func standaloneArgs(args []string) []string {
	var kept []string
	for i := 0; i < len(args); i++ {
		if slices.Contains([]string{"--replSet", "--keyFile"}, args[i]) {
			i++
			continue
		}
		if args[i] != "--auth" {
			kept = append(kept, args[i])
		}
	}
	return kept
}

// giveUp is an error that ends polling.
type giveUp struct{ error }

func (g giveUp) Unwrap() error { return g.error }

// poll calls ready until it returns nil. The error after a timeout names what it waited
// for.
func poll(ctx context.Context, what string, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if g := (giveUp{}); errors.As(err, &g) {
			return g.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; last seen: %w", what, ctx.Err(), err)
		case <-time.After(pollInterval):
		}
	}
}

const pollInterval = 10 * time.Millisecond
