// Package faults breaks everything around ddltail while random DDL goes on, and then does the books: every change once, in order,
// in queue and history alike, and nothing that did not happen.
//
// make faults ROUNDS=20 is the long form: 200 kills of ddltail, 20 of each fault of a member, an outage of a minute, a million
// entries. Part of make test is one round of all but the slowest.
package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// setsAtOnce is how many scenarios go on side by side, each on a set of its own.
const setsAtOnce = 3

var (
	rounds = flag.Int("rounds", 0, "how often each fault happens, and what lasts grows with it; 0 is once, without the slowest scenarios")
	binary string
	// major is the first number of the server's version.
	major int
	// impatient makes members end at once when they are asked to; 4.4 does so by itself.
	impatient []string
	// idle holds sets that no scenario uses; nil stands for one that is still to be started.
	idle = make(chan *mongotest.ReplicaSet, setsAtOnce)
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(ddltailtest.WithBinary(&binary, func() int { return run(m) }))
}

func run(m *testing.M) int {
	var err error
	if major, err = mongotest.ServerMajor(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if major > 4 {
		impatient = []string{"--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"}
	}
	for range setsAtOnce {
		idle <- nil
	}
	code := m.Run()
	for range setsAtOnce {
		if set := <-idle; set != nil {
			err = errors.Join(err, set.Stop())
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// threeMembers is what every scenario runs on.
func threeMembers() mongotest.Options { return members("5") }

// smallOplog is a set whose oplog rolls over in seconds. The server truncates nothing that its last checkpoint on disk still needs.
func smallOplog() mongotest.Options {
	o := members("1")
	o.OplogSizeMB = 16
	return o
}

// members write a checkpoint to disk every so many seconds, not each minute: a member that was killed does again, one by one, all DDL
// since the last one before it is back. One that is asked to end would wait 15 s for its clients. Test commands bring failpoints.
func members(syncDelay string) mongotest.Options {
	return mongotest.Options{
		Members: 3, ElectionTimeout: 2 * time.Second,
		Args: append(slices.Clone(impatient), "--syncdelay", syncDelay, "--setParameter", "enableTestCommands=1"),
	}
}

// times is how often each fault happens.
func times() int { return max(1, *rounds) }

// sinceFive is for scenarios that make a time series for certain, or wait at a failpoint that 4.4 does not have.
func sinceFive(t *testing.T) {
	t.Helper()
	if major < 5 {
		t.Skip("needs a server from 5.0 on")
	}
}

// slow is for scenarios that make test has no time for: it has others beside them that show nearly the same.
func slow(t *testing.T) {
	t.Helper()
	if *rounds == 0 {
		t.Skip("part of make faults")
	}
}

// slot waits for a scenario's turn that has sets of its own: the number of sets that run at once is bounded.
func slot(t *testing.T) {
	t.Helper()
	set := <-idle
	t.Cleanup(func() { idle <- set })
}

// borrow returns a scenario a set of three for itself, whole and without databases of others.
func borrow(t *testing.T) *mongotest.ReplicaSet {
	t.Helper()
	set := <-idle
	t.Cleanup(func() { idle <- usable(t, set) })
	if set == nil {
		var err error
		set, err = mongotest.StartReplicaSet(t.Context(), threeMembers())
		if err != nil {
			t.Fatal(err)
		}
	}
	return set
}

// usable returns the set back to those who come after, or nil for one that is not fit for it.
func usable(t *testing.T, set *mongotest.ReplicaSet) *mongotest.ReplicaSet {
	if set == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if !t.Failed() && set.WaitReady(ctx) == nil && clean(ctx, set) == nil {
		return set
	}
	if err := set.Stop(); err != nil {
		t.Error(err)
	}
	return nil
}

func clean(ctx context.Context, set *mongotest.ReplicaSet) error {
	client, err := connect(set.URI())
	if err != nil {
		return err
	}
	defer client.Disconnect(ctx)
	names, err := client.ListDatabaseNames(ctx, notOfTheServer())
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := client.Database(name).Drop(ctx); err != nil {
			return err
		}
	}
	return nil
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
