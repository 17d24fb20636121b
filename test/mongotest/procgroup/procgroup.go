// Package procgroup runs processes that cannot outlive the program that started them.
//
// A [Group] is a temporary folder and the processes that use it. Close removes both. If this program ends without Close, even
// by SIGKILL or a panic, both are removed soon after, including processes stopped by SIGSTOP:
//
//   - the processes share one process group, whose leader, a shell, waits for the end of a pipe that this program holds open,
//     and then kills the group;
//   - every process holds the write end of a second pipe; at its end, which comes when the last of them is gone, a second shell
//     removes the folder.
//
// It requires Unix.
package procgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
)

const (
	killerScript  = `trap "" HUP INT QUIT TERM; read -r _; kill -KILL 0`
	removerScript = `trap "" HUP INT QUIT TERM; read -r _; rm -rf "$1"`
)

// Group is a temporary folder and the processes that use it. It is safe for concurrent use.
type Group struct {
	dir     string
	killer  watchdog
	remover watchdog

	mu        sync.Mutex
	processes []*Process
}

// watchdog is a shell that acts when the last writer of its pipe has closed it.
type watchdog struct {
	process *Process
	pipe    *os.File
}

// New creates a group with an empty folder in [os.TempDir], whose name begins with the given prefix. The caller must Close it.
func New(prefix string) (*Group, error) {
	dir, err := os.MkdirTemp("", prefix+"-")
	if err != nil {
		return nil, fmt.Errorf("make the group's folder: %w", err)
	}
	g := &Group{dir: dir}
	if g.remover, err = startWatchdog(removerScript, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("start the folder's watchdog: %w", err), os.RemoveAll(dir))
	}
	if g.killer, err = startWatchdog(killerScript); err != nil {
		return nil, errors.Join(fmt.Errorf("start the processes' watchdog: %w", err), g.remover.release())
	}
	return g, nil
}

// Dir returns the absolute path of the group's folder.
func (g *Group) Dir() string { return g.dir }

// Start starts cmd in the group. It replaces cmd's SysProcAttr and adds to its ExtraFiles, and calls cmd.Wait: the caller must
// not.
func (g *Group) Start(cmd *exec.Cmd) (*Process, error) {
	joinGroup(cmd, g.killer.process.Pid())
	cmd.ExtraFiles = append(cmd.ExtraFiles, g.remover.pipe)
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.processes = append(g.processes, p)
	return p, nil
}

// Close kills every process of the group, waits for their end and removes the folder.
func (g *Group) Close() error {
	err := errors.Join(g.killer.release(), g.remover.release())
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.processes {
		<-p.Exited()
	}
	if _, statErr := os.Stat(g.dir); err == nil && statErr == nil {
		return fmt.Errorf("folder %s could not be removed", g.dir)
	}
	return err
}

func startWatchdog(script string, args ...string) (watchdog, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return watchdog{}, err
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "watchdog"}, args...)...)
	cmd.Stdin = r
	cmd.Dir = "/"
	leadGroup(cmd)
	p, err := start(cmd)
	r.Close()
	if err != nil {
		w.Close()
		return watchdog{}, err
	}
	return watchdog{process: p, pipe: w}, nil
}

func (w watchdog) release() error {
	err := w.pipe.Close()
	<-w.process.Exited()
	return err
}

// Process is one started process. It is safe for concurrent use.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of Wait; to be read after exited is closed
}

func start(cmd *exec.Cmd) (*Process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Pid returns the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Exited returns a channel that is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Wait waits for the end of the process and returns the result of [exec.Cmd.Wait].
func (p *Process) Wait() error {
	<-p.exited
	return p.err
}

// Signal sends a signal. It returns [os.ErrProcessDone] if the process has ended.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill sends SIGKILL and waits for the end of the process. It is idempotent.
func (p *Process) Kill() error {
	if err := p.Signal(os.Kill); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.Pid(), err)
	}
	<-p.exited
	return nil
}

// Pause stops the process (SIGSTOP) until Resume. On Linux it returns when every thread of the process has stopped: other threads run
// on until one has handled the signal.
func (p *Process) Pause() error {
	if err := p.Signal(stopSignal); err != nil {
		return err
	}
	if err := waitStopped(p.Pid()); err != nil {
		return fmt.Errorf("wait until process %d has stopped: %w", p.Pid(), err)
	}
	return nil
}

// Resume continues a paused process (SIGCONT).
func (p *Process) Resume() error { return p.Signal(continueSignal) }
