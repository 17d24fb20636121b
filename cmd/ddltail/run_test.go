package main

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestRunLeavesNothingBehind runs the whole of `ddltail run` in this process and
// sees that nothing outlives it.
func TestRunLeavesNothingBehind(t *testing.T) {
	set := mongotest.NewReplicaSet(t, mongotest.Options{})
	addr := freeAddress(t)
	t.Setenv("DDLTAIL_MONGODB_URI", set.URI())
	t.Setenv("DDLTAIL_HTTP_ADDR", addr)
	cfg, err := config.Load(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	already := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, cfg, catchHangup(), zaptest.NewLogger(t)) }()
	waitReady(t, "http://"+addr+"/readyz")
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it has not stopped within 5 s")
	}
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, already)
}

func freeAddress(t *testing.T) string {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func waitReady(t *testing.T, url string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatal("not ready within 20 s")
}
