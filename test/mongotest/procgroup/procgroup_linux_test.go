package procgroup_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/test/mongotest/procgroup"
)

// TestPauseIsEffective reads the state of every thread right after Pause. A signal is pending until a thread handles it, and the
// others run until then.
func TestPauseIsEffective(t *testing.T) {
	g, err := procgroup.New("procgroup-test")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	cmd := exec.Command(os.Args[0])
	// As many threads as goroutines.
	cmd.Env = append(os.Environ(), childVariable+"="+busyChild, fmt.Sprintf("GOMAXPROCS=%d", 4*runtime.NumCPU()))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := g.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	for round := range 30 {
		if err := p.Pause(); err != nil {
			t.Fatal(err)
		}
		for thread, state := range threads(t, p.Pid()) {
			if state != "T" {
				t.Errorf("round %d: the thread %s has the state %s after Pause", round, thread, state)
			}
		}
		if err := p.Pause(); err != nil {
			t.Fatal(err)
		}
		if err := p.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.Pause(); err == nil {
		t.Error("a process that has ended was paused")
	}
}

// threads returns the state of each thread of a process.
func threads(t *testing.T, pid int) map[string]string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("no thread of the process %d: %v", pid, err)
	}
	states := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// pid (name) state …
		_, after, _ := strings.Cut(string(text), ") ")
		states[filepath.Base(filepath.Dir(file))], _, _ = strings.Cut(after, " ")
	}
	return states
}
