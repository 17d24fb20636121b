// Package faults injects faults into ddltail and its servers during random DDL, and then checks that queue and history have every
// change once, in order, and nothing else.
//
// `make faults ROUNDS=20` runs 200 kills of ddltail, 20 of each fault of a member, an outage of a minute and a million
// entries. `make test` runs one round, without the slowest scenarios.
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

// setsAtOnce is the number of scenarios that run in parallel, each on its own set.
const setsAtOnce = 3

var (
	rounds = flag.Int("rounds", 0, "how often each fault is injected; outages last longer with more rounds; 0 is once, without the slowest scenarios")
	binary string
	// major is the first number of the server's version.
	major int
	// fastShutdown makes members exit at once on SIGTERM; 4.4 does so by default.
	fastShutdown []string
	// idleSets holds sets that no scenario uses; nil is one that has not been started.
	idleSets = make(chan *mongotest.ReplicaSet, setsAtOnce)
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
		fastShutdown = []string{"--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"}
	}
	for range setsAtOnce {
		idleSets <- nil
	}
	code := m.Run()
	for range setsAtOnce {
		if set := <-idleSets; set != nil {
			err = errors.Join(err, set.Stop())
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// threeMembers are the options of the sets on which most scenarios run.
func threeMembers() mongotest.Options { return members("5") }

// smallOplog are the options of a set whose oplog rolls over in seconds. The server does not truncate entries that its last
// checkpoint on disk needs.
func smallOplog() mongotest.Options {
	o := members("1")
	o.OplogSizeMB = 16
	return o
}

// members returns the options of three members that write a checkpoint to disk every syncDelay seconds instead of every minute: a
// killed member replays all DDL since its last checkpoint before it is available. On shutdown a member would wait 15 s for its
// clients. Test commands enable failpoints.
func members(syncDelay string) mongotest.Options {
	return mongotest.Options{
		Members: 3, ElectionTimeout: 2 * time.Second,
		Args: append(slices.Clone(fastShutdown), "--syncdelay", syncDelay, "--setParameter", "enableTestCommands=1"),
	}
}

// times returns how often each fault is injected.
func times() int { return max(1, *rounds) }

// sinceFive skips scenarios on 4.4 that need a time series, or a failpoint that 4.4 does not have.
func sinceFive(t *testing.T) {
	t.Helper()
	if major < 5 {
		t.Skip("needs a server from 5.0 on")
	}
}

// slow skips scenarios in `make test`, which runs faster ones of nearly the same coverage.
func slow(t *testing.T) {
	t.Helper()
	if *rounds == 0 {
		t.Skip("part of make faults")
	}
}

// slot waits until a scenario may start its own sets: the number of concurrent sets is bounded.
func slot(t *testing.T) {
	t.Helper()
	set := <-idleSets
	t.Cleanup(func() { idleSets <- set })
}

// borrow returns a healthy set of three members without user databases, for one scenario.
func borrow(t *testing.T) *mongotest.ReplicaSet {
	t.Helper()
	set := <-idleSets
	t.Cleanup(func() { idleSets <- usable(t, set) })
	if set == nil {
		var err error
		set, err = mongotest.StartReplicaSet(t.Context(), threeMembers())
		if err != nil {
			t.Fatal(err)
		}
	}
	return set
}

// usable returns the set, cleaned for the next scenario, or nil if it cannot be used again.
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
