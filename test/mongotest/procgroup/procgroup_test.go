//go:build unix

package procgroup_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ddltail/ddltail/test/mongotest/procgroup"
)

// childVariable is the environment variable that makes this test binary a child process; its value is
// how the child ends.
const childVariable = "PROCGROUP_TEST_CHILD"

// busyChild is the child that uses more threads than there are processors.
const busyChild = "busy"

func TestMain(m *testing.M) {
	if end := os.Getenv(childVariable); end != "" {
		child(end)
		return
	}
	goleak.VerifyTestMain(m)
}

// child starts a group with a running process and a paused one that only SIGKILL can end, prints the folder and their pids, and
// ends as requested.
func child(end string) {
	if end == busyChild {
		busy()
	}
	g, err := procgroup.New("procgroup-test")
	check(err)
	running, err := g.Start(exec.Command("sleep", "600"))
	check(err)
	stubborn := exec.Command("sh", "-c", `trap "" HUP INT TERM; echo ready; while :; do sleep 600; done`)
	stdout, err := stubborn.StdoutPipe()
	check(err)
	paused, err := g.Start(stubborn)
	check(err)
	_, err = stdout.Read(make([]byte, 8))
	check(err)
	check(paused.Pause())
	fmt.Println(g.Dir(), running.Pid(), paused.Pid())
	if end == "panic" {
		// Not before the test has seen the processes.
		_, err = os.Stdin.Read(make([]byte, 1))
		check(err)
		panic("requested by the test")
	}
	select {}
}

func busy() {
	for range 4 * runtime.NumCPU() {
		go func() {
			for runtime.LockOSThread(); ; {
			}
		}()
	}
	fmt.Println("ready")
	select {}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func TestNothingOutlivesTheProgram(t *testing.T) {
	// A signal that is caught here has its default in the child. One that was ignored when the tests were started, as SIGINT is in
	// the background of a script, would be ignored there too.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, os.Interrupt)
	defer signal.Stop(caught)
	for _, end := range []string{"SIGKILL", "SIGINT", "panic"} {
		t.Run(end, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"="+end)
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			words := strings.Fields(line)
			for _, pid := range words[1:] {
				if !alive(t, pid) {
					t.Fatalf("process %s was not started", pid)
				}
			}
			endChild(t, cmd, stdin, end)
			eventually(t, func() bool { return !alive(t, words[1]) && !alive(t, words[2]) && !exists(words[0]) })
		})
	}
}

func endChild(t *testing.T, cmd *exec.Cmd, stdin io.Writer, end string) {
	t.Helper()
	signals := map[string]os.Signal{"SIGKILL": syscall.SIGKILL, "SIGINT": syscall.SIGINT}
	var err error
	if s, ok := signals[end]; ok {
		err = cmd.Process.Signal(s)
	} else {
		_, err = stdin.Write([]byte("\n"))
	}
	if err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("the child ended with %v", err)
	}
}

func TestClose(t *testing.T) {
	g, err := procgroup.New("procgroup-test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.Dir(), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := g.Start(exec.Command("sleep", "600"))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err == nil {
		t.Error("the process ended by itself")
	}
	if exists(g.Dir()) {
		t.Error("the folder still exists")
	}
	if _, err := g.Start(exec.Command("true")); err == nil {
		t.Error("a closed group started a process")
	}
}

func TestPauseResumeKill(t *testing.T) {
	g, err := procgroup.New("procgroup-test")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	out, err := os.Create(filepath.Join(g.Dir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("sh", "-c", "while :; do echo x; sleep 0.01; done")
	cmd.Stdout = out
	p, err := g.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	grows := func() bool {
		before := size(t, out)
		time.Sleep(100 * time.Millisecond)
		return size(t, out) > before
	}
	eventually(t, grows)
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return !grows() })
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, grows)
	if err := errors.Join(p.Pause(), p.Kill(), p.Kill()); err != nil {
		t.Fatal(err)
	}
}

func alive(t *testing.T, pid string) bool {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	zombie := err == nil && strings.Contains(string(stat), ") Z ")
	return syscall.Kill(n, 0) == nil && !zombie
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func size(t *testing.T, f *os.File) int64 {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("not within 10 s")
}
