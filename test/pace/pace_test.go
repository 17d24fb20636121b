// Package pace tests on a real server how often the oplog is read at high and low write
// rates.
package pace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/test/mongotest"
)

const (
	// often and seldom are limits for the reads per second: with a pause of 40 ms there are
	// up to 25, when waiting for data one or two.
	often, seldom = 5, 3
	// limit is how long a change of the pace may take on a loaded machine.
	limit = time.Minute
)

var set *mongotest.ReplicaSet

func TestMain(m *testing.M) {
	os.Exit(mongotest.Main{Tests: m, Set: &set}.Run())
}

// TestPace reads at the head while the set is idle, under load, and idle again. In each
// phase every change must be read.
func TestPace(t *testing.T) {
	client := mongotest.Connect(t, set.URI())
	r := follow(t, client, 50*time.Millisecond)
	r.wantChange(t, client, "quiet")
	r.wantRate(t, "nothing is written", func(n int64) bool { return n <= seldom })
	stop := write(t, client)
	r.wantRate(t, "much is written", func(n int64) bool { return n >= often })
	for i := range 5 {
		r.wantChange(t, client, fmt.Sprintf("busy%d", i))
	}
	stop()
	r.wantRate(t, "nothing is written again", func(n int64) bool { return n <= seldom })
	r.wantChange(t, client, "quietAgain")
}

// TestNoTarget checks that without a latency target the reader always waits for data.
func TestNoTarget(t *testing.T) {
	client := mongotest.Connect(t, set.URI())
	r := follow(t, client, 0)
	stop := write(t, client)
	defer stop()
	before := r.reads.Load()
	time.Sleep(3 * time.Second)
	if n := r.reads.Load() - before; n > 3*seldom {
		t.Errorf("%d reads in 3 s without a target", n)
	}
	r.wantChange(t, client, "untargeted")
}

// TestPauseEndsWithTheContext cancels a reader during a long pause.
func TestPauseEndsWithTheContext(t *testing.T) {
	client := mongotest.Connect(t, set.URI())
	stop := write(t, client)
	defer stop()
	r := follow(t, client, 5*time.Second)
	time.Sleep(2 * time.Second) // it pauses by now, or waits for data: either must end
	began := time.Now()
	r.stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the reader took %s to end", took)
	}
}

// follower is a reader at the head, in its own goroutine.
type follower struct {
	reads atomic.Int64
	seen  chan string
	stop  func()
}

func follow(t *testing.T, client *mongo.Client, target time.Duration) *follower {
	member := oplog.Member{Host: set.Hosts(), Client: client}
	head, err := member.Head(t.Context())
	for errors.Is(err, oplog.ErrHeadUnknown) { // as on a set that has just been started
		time.Sleep(10 * time.Millisecond)
		head, err = member.Head(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	reader, err := oplog.Open(t.Context(), member, oplog.Start{Position: head, LatencyTarget: target})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{seen: make(chan string, 1000)}
	var wg sync.WaitGroup
	f.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(f.stop)
	wg.Go(func() {
		defer reader.Close()
		for {
			batch, err := reader.Next(ctx)
			if err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				return
			}
			f.reads.Add(1)
			for _, entry := range batch.Entries {
				name, _ := entry.Lookup("o", "create").StringValueOK()
				f.seen <- name
			}
		}
	})
	return f
}

// wantRate waits for a second in which the number of reads satisfies ok.
func (f *follower) wantRate(t *testing.T, when string, ok func(int64) bool) {
	t.Helper()
	var n int64
	for began := time.Now(); time.Since(began) < limit; {
		before := f.reads.Load()
		time.Sleep(time.Second)
		if n = f.reads.Load() - before; ok(n) {
			t.Logf("%s: %d reads in a second", when, n)
			return
		}
	}
	t.Fatalf("%s: still %d reads in a second", when, n)
}

// wantChange makes a change and waits until it is read.
func (f *follower) wantChange(t *testing.T, client *mongo.Client, name string) {
	t.Helper()
	if err := client.Database("pace").CreateCollection(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for {
		select {
		case got := <-f.seen:
			if got == name {
				t.Logf("%s: read after %s", name, time.Since(began))
				return
			}
		case <-time.After(limit):
			t.Fatalf("%s was not read", name)
		}
	}
}

// write inserts without a pause until stop is called.
func write(t *testing.T, client *mongo.Client) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	docs := client.Database("load").Collection("docs", options.Collection().SetWriteConcern(writeconcern.W1()))
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := docs.InsertOne(ctx, bson.D{{Key: "x", Value: 1}}); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
					return
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}
