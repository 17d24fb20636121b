// Package brokertest starts real Kafka and NATS brokers for tests. A broker stores its
// data in a temporary folder and ends with the program that started it.
package brokertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/ddltail/ddltail/test/fetch"
	"github.com/ddltail/ddltail/test/mongotest"
	"github.com/ddltail/ddltail/test/mongotest/procgroup"
)

const (
	// startLimit bounds the start of a broker. Kafka needs several seconds, more on a busy
	// machine.
	startLimit = 90 * time.Second
	poll       = 100 * time.Millisecond
)

// Server is one broker on loopback.
type Server struct {
	group   *procgroup.Group
	process *procgroup.Process
	ports   []mongotest.Port
	// command returns the command line of the broker.
	command func() *exec.Cmd
	// ready returns nil once the broker answers.
	ready func(context.Context) error
}

// newServer reserves ports and a folder.
func newServer(ports int) (*Server, error) {
	group, err := procgroup.New("broker")
	if err != nil {
		return nil, err
	}
	s := &Server{group: group}
	for range ports {
		port, err := mongotest.ReservePort()
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
		s.ports = append(s.ports, port)
	}
	return s, nil
}

// Addr returns host and port of the broker.
func (s *Server) Addr() string { return s.addr(0) }

func (s *Server) addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", s.ports[port].Number) }

// Dir returns the broker's folder.
func (s *Server) Dir() string { return s.group.Dir() }

// Start starts a stopped broker and waits until it answers.
func (s *Server) Start(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.Dir(), "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command()
	cmd.Stdout, cmd.Stderr = log, log
	if s.process, err = s.group.Start(cmd); err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.Exited():
			return fmt.Errorf("the broker ended: %w; end of its log:\n%s", s.process.Wait(), s.log())
		case <-ctx.Done():
			return fmt.Errorf("wait for the broker: %w; end of its log:\n%s", err, s.log())
		case <-time.After(poll):
		}
	}
}

func (s *Server) log() string {
	text, err := os.ReadFile(filepath.Join(s.Dir(), "log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// Kill ends the broker at once (SIGKILL). It is idempotent.
func (s *Server) Kill() error { return s.process.Kill() }

// Pause stops the broker (SIGSTOP) until Resume: its connections stay open and nothing answers.
func (s *Server) Pause() error { return s.process.Pause() }

// Resume lets a paused broker continue.
func (s *Server) Resume() error { return s.process.Resume() }

func (s *Server) stop() error {
	err := s.group.Close()
	for _, p := range s.ports {
		err = errors.Join(err, p.Release())
	}
	return err
}

// start starts a server and stops it at the end of the test.
func start(tb mongotest.TB, s *Server) {
	tb.Helper()
	tb.Cleanup(func() {
		if err := s.stop(); err != nil {
			tb.Errorf("stop the broker: %v", err)
		}
	})
	if err := s.Start(tb.Context()); err != nil {
		tb.Fatalf("%v", err)
	}
}

// script returns the path that a script which fetches a broker prints.
func script(tb mongotest.TB, name string) string {
	tb.Helper()
	path, err := fetch.Path(tb.Context(), name)
	if errors.Is(err, fetch.ErrUnavailable) {
		tb.Skipf("scripts/%s: the broker cannot be installed on this machine", name)
	}
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return path
}
