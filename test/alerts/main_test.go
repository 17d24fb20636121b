// Package alerts tests the alerts: a real Prometheus with the rules of deploy/replicaset scrapes real ddltails, and each
// test causes the condition of a rule.
//
// `make alerts` triggers every alert, with the times of the rules divided by a factor. `make test` only checks that every query
// of the dashboard returns series and that Prometheus can evaluate every rule.
package alerts

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/fetch"
)

const (
	root   = "../.."
	deploy = root + "/deploy/replicaset"
)

var (
	factor = flag.Int("factor", 0, "trigger each alert once, with the times of the rules divided by this; 0 skips the test")
	binary string
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(ddltailtest.WithBinary(&binary, m.Run))
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	ok(t, err)
	return string(text)
}

// eventually waits until the condition holds.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// script runs one of scripts/ and returns the last line of its output. It skips the test if the script
// cannot download.
func script(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	path, err := fetch.Path(ctx, name, args...)
	if err != nil {
		t.Skipf("no %s: %v", name, err)
	}
	return path
}

// launch runs ddltail until the end of the test.
func launch(t *testing.T, args []string, variables ...string) *ddltailtest.Process {
	t.Helper()
	p, err := ddltailtest.Start(binary, args, variables...)
	ok(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ddltail %s:\n%s", strings.Join(args, " "), p.Stderr())
		}
		ok(t, p.Close())
	})
	eventually(t, time.Minute, "the address of ddltail "+strings.Join(args, " "), func() bool { return p.URL() != "" })
	return p
}

// start launches ddltail and waits until it is ready.
func start(t *testing.T, args []string, variables ...string) *ddltailtest.Process {
	t.Helper()
	p := launch(t, args, variables...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ok(t, p.WaitReady(ctx))
	return p
}
