package mongotest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// TB is the part of [testing.TB] that this package uses, so that other programs do not link the package
// testing.
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// NewReplicaSet is StartReplicaSet for a test: it stops the set at the end of the test, and skips the test if the version is not
// available.
func NewReplicaSet(tb TB, o Options) *ReplicaSet {
	tb.Helper()
	skipIfShort(tb)
	s, err := StartReplicaSet(tb.Context(), o)
	requireServer(tb, o, err)
	atEnd(tb, "stop the replica set", s.Stop)
	return s
}

// NewStandalone is StartStandalone for a test: it stops the server at the end of the test, and skips the test if the version
// is not available.
func NewStandalone(tb TB, o Options) Standalone {
	tb.Helper()
	skipIfShort(tb)
	s, err := StartStandalone(tb.Context(), o)
	requireServer(tb, o, err)
	atEnd(tb, "stop the standalone server", s.Stop)
	return s
}

// Connect returns a client that is disconnected at the end of the test.
func Connect(tb TB, uri string) *mongo.Client {
	tb.Helper()
	skipIfShort(tb)
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	atEnd(tb, "disconnect", func() error { return disconnect(client) })
	return client
}

func skipIfShort(tb TB) {
	tb.Helper()
	if short() {
		tb.Skipf("needs a server: not under -short")
	}
}

// short reports whether the tests run with -short. [testing.Short] would link the package
// testing into programs.
func short() bool {
	if !flag.Parsed() {
		flag.Parse()
	}
	f := flag.Lookup("test.short")
	return f != nil && f.Value.String() == "true"
}

func requireServer(tb TB, o Options, err error) {
	tb.Helper()
	if errors.Is(err, ErrNoServer) && o.Version != "" {
		tb.Skipf("needs mongod %s: %v", o.Version, err)
	}
	if err != nil {
		tb.Fatalf("%v", err)
	}
}

func atEnd(tb TB, step string, do func() error) {
	tb.Cleanup(func() {
		if err := do(); err != nil {
			tb.Errorf("%s: %v", step, err)
		}
	})
}

// Main runs a package's tests with one replica set. It can replace [testing.M] in goleak.VerifyTestMain.
type Main struct {
	// Tests is the [testing.M].
	Tests interface{ Run() int }
	// Set is set to the running set.
	Set **ReplicaSet
	// Options configures the set.
	Options Options
}

// Run starts the set, runs the tests, stops the set, and returns the exit code. Under -short it
// starts none, and tests that connect are skipped.
func (m Main) Run() int {
	if short() {
		return m.Tests.Run()
	}
	s, err := StartReplicaSet(context.Background(), m.Options)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mongotest:", err)
		return 1
	}
	*m.Set = s
	code := m.Tests.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "mongotest: stop the replica set:", err)
		return max(code, 1)
	}
	return code
}
