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

// TB is what is used of [testing.TB], so that programs which are no tests do not link the package testing.
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// NewReplicaSet is StartReplicaSet for a test, at whose end the set is stopped. A test that asks for a version this machine cannot
// have is skipped.
func NewReplicaSet(tb TB, o Options) *ReplicaSet {
	tb.Helper()
	skipIfShort(tb)
	s, err := StartReplicaSet(tb.Context(), o)
	requireServer(tb, o, err)
	atEnd(tb, "stop the replica set", s.Stop)
	return s
}

// NewStandalone is StartStandalone for a test, at whose end the server is stopped. A test that asks for a version this machine
// cannot have is skipped.
func NewStandalone(tb TB, o Options) Standalone {
	tb.Helper()
	skipIfShort(tb)
	s, err := StartStandalone(tb.Context(), o)
	requireServer(tb, o, err)
	atEnd(tb, "stop the standalone server", s.Stop)
	return s
}

// Connect makes a client that is disconnected at the end of the test.
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

// Main runs a package's tests beside one replica set. It is what goleak.VerifyTestMain takes in the place of a [testing.M].
type Main struct {
	// Tests is the [testing.M].
	Tests interface{ Run() int }
	// Set is where the tests find the set while they run.
	Set **ReplicaSet
	// Options are the set's.
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
