package web_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/web"
)

// TestSocket: a socket is created with its mode, replaced where it is stale, and removed.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if _, err := web.Listen(t.Context(), "unix:"+path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a socket in use: %v", err)
	}
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := web.Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- web.Serve(ctx, l, http.NotFoundHandler(), "", zap.NewNop()) }()
	if status := getOn(t, path); status != http.StatusNotFound {
		t.Errorf("status %d", status)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestSocketOverAFile: what is no socket is not removed.
func TestSocketOverAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := web.Listen(t.Context(), "unix:"+path); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("a file: %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "kept" {
		t.Errorf("the file is %q, %v", text, err)
	}
	if _, err := web.Listen(t.Context(), "unix:"+filepath.Join(path, "no", "folder")); err == nil || errors.Is(err, fs.ErrExist) {
		t.Errorf("a folder that does not exist: %v", err)
	}
}

func getOn(t *testing.T, path string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://socket/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// TestProfiles: they are served beside the rest, where they are asked for.
func TestProfiles(t *testing.T) {
	for path, want := range map[string]int{"/debug/pprof/": 200, "/debug/pprof/goroutine": 200, "/debug/pprof/cmdline": 200, "/other": 418} {
		rest := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		l, err := web.Listen(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- web.Serve(ctx, l, web.WithProfiles(rest), "", zap.NewNop()) }()
		if status, _ := get(t, "http://"+l.Addr().String()+path, ""); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
