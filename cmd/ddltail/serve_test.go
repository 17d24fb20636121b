package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap/zaptest"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/web"
)

// TestProfiles serves Go's profiles only if PPROF is set, and never at PROBE_ADDR.
func TestProfiles(t *testing.T) {
	for _, on := range []bool{false, true} {
		cfg := config.Config{PProf: on, HTTPAddr: freeAddress(t), ProbeAddr: freeAddress(t)}
		socket, err := listenHTTP(t.Context(), cfg, "")
		if err != nil {
			t.Fatal(err)
		}
		ready := func() error { return nil }
		s := service{
			cfg: cfg, log: zaptest.NewLogger(t), socket: socket, registry: newRegistry(), reload: catchHangup(),
			probes: web.Probes{Alive: ready, Ready: ready}, page: web.Page{Rows: func() []web.Row { return nil }},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.run(ctx, func(ctx context.Context) error { <-ctx.Done(); return nil }) }()
		waitReady(t, "http://"+cfg.HTTPAddr+"/readyz")
		waitReady(t, "http://"+cfg.ProbeAddr+"/readyz")
		want := http.StatusNotFound
		if on {
			want = http.StatusOK
		}
		for addr, want := range map[string]int{cfg.HTTPAddr: want, cfg.ProbeAddr: http.StatusNotFound} {
			if got := statusOf(t, "http://"+addr+"/debug/pprof/heap"); got != want {
				t.Errorf("PPROF=%t: %d at %s, want %d", on, got, addr, want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func statusOf(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestMemoryLimit takes the limit of a cgroup.
func TestMemoryLimit(t *testing.T) {
	group := inCgroup(t, 256<<20)
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	limitMemory(zaptest.NewLogger(t))
	share := memoryShare
	if got := debug.SetMemoryLimit(-1); got != int64(share*(256<<20)) {
		t.Errorf("in %s, limited to 256 MiB: the limit is %d", group, got)
	}
}

// inCgroup moves this process to a new cgroup with a memory limit until the end of the test, and skips the test
// where that is not allowed.
func inCgroup(t *testing.T, limit int) string {
	t.Helper()
	all, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip("no cgroups: ", err)
	}
	for line := range strings.Lines(string(all)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		root, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		if fields[1] == "" {
			root, file = "/sys/fs/cgroup", "memory.max"
		}
		if len(fields) != 3 || fields[1] != "memory" && fields[1] != "" {
			continue
		}
		group := filepath.Join(root, fields[2], "ddltail-test")
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			leave := os.WriteFile(filepath.Join(root, fields[2], "cgroup.procs"), []byte("0"), 0o600)
			if err := errors.Join(leave, os.Remove(group)); err != nil {
				t.Error(err)
			}
		})
		set := os.WriteFile(filepath.Join(group, file), []byte(strconv.Itoa(limit)), 0o600)
		enter := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0o600)
		if set == nil && enter == nil {
			return group
		}
	}
	t.Skip("no cgroup with a memory limit can be created here")
	return ""
}
