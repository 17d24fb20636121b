package systemd_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/ddltail/ddltail/internal/systemd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// manager is the socket that a service manager reads.
type manager struct{ conn *net.UnixConn }

func newManager(t *testing.T, watchdog time.Duration) manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_PID", "")
	t.Setenv("WATCHDOG_USEC", "")
	if watchdog > 0 {
		t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	}
	return manager{conn}
}

// until reads messages up to the first that holds the text, and returns all of them.
func (m manager) until(t *testing.T, text string) []string {
	t.Helper()
	var all []string
	buffer := make([]byte, 4096)
	if err := m.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := m.conn.Read(buffer)
		if err != nil {
			t.Fatalf("no message with %q in %q: %v", text, all, err)
		}
		all = append(all, string(buffer[:n]))
		if strings.Contains(all[len(all)-1], text) {
			return all
		}
	}
}

// report runs Report until the returned function is called, which waits for its last message and its end.
func (m manager) report(t *testing.T, s systemd.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		systemd.Report(ctx, s, zaptest.NewLogger(t))
		close(done)
	}()
	return func() {
		t.Helper()
		cancel()
		m.until(t, "STOPPING=1")
		<-done
	}
}

// probe is an answer that can change.
type probe struct{ failure atomic.Pointer[string] }

func (p *probe) set(text string) { p.failure.Store(&text) }

func (p *probe) err() error {
	if text := p.failure.Load(); text != nil && *text != "" {
		return errors.New(*text)
	}
	return nil
}

func TestReport(t *testing.T) {
	m := newManager(t, 60*time.Millisecond)
	var alive, ready probe
	ready.set("not tailing:\ncatching up")
	stop := m.report(t, systemd.Service{Alive: alive.err, Ready: ready.err})

	const waiting = "STATUS=not ready: not tailing: catching up\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC=60000000"
	if got := m.until(t, "EXTEND"); got[0] != "STATUS=starting" || got[len(got)-1] != waiting {
		t.Errorf("before it is ready: %q", got)
	}
	ready.set("")
	if got := m.until(t, "READY=1"); got[len(got)-1] != "STATUS=ready\nWATCHDOG=1\nREADY=1" {
		t.Errorf("ready: %q", got)
	}
	ready.set("sink file: disk full")
	if got := m.until(t, "disk full"); got[len(got)-1] != "STATUS=not ready: sink file: disk full\nWATCHDOG=1" {
		t.Errorf("ready no more: %q", got)
	}
	alive.set("the loop is silent")
	if got := m.until(t, "silent"); strings.Contains(got[len(got)-1], "WATCHDOG") {
		t.Errorf("not alive: %q", got)
	}
	stop()
}

// TestReadyAtOnce: `systemctl start` waits for the report, which does not wait for the interval.
func TestReadyAtOnce(t *testing.T) {
	m := newManager(t, time.Minute)
	var alive, ready probe
	ready.set("catching up")
	stop := m.report(t, systemd.Service{Alive: alive.err, Ready: ready.err})
	m.until(t, "EXTEND")
	began := time.Now()
	ready.set("")
	m.until(t, "READY=1")
	if took := time.Since(began); took > time.Second {
		t.Errorf("reported after %s", took)
	}
	stop()
}

// TestNoManager: a process started by hand reports to nothing, and goes on.
func TestNoManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	systemd.Report(t.Context(), systemd.Service{}, zaptest.NewLogger(t))
}
