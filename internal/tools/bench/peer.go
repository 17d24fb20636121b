package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// The peers that report changes.
const (
	nameDdltail  = "ddltail"
	nameFiltered = "change stream, filtered"
	nameStream   = "change stream"
	nameTail     = "oplog tail"
	// nameNone is a run without a peer, nameFloor the minimum that the server needs.
	nameNone  = "none"
	nameFloor = "floor"
)

// readyPoll is how often a peer is polled for readiness.
const readyPoll = 2 * time.Millisecond

// target is what a peer reads and where it writes.
type target struct {
	uri, database string
	// from is where to begin; zero for now. ddltail uses a checkpoint instead.
	from bson.Timestamp
	// variables are further environment variables of ddltail.
	variables []string
}

// peer is a program that reports schema changes, run as a separate process.
type peer struct {
	name  string
	queue string
	start func(target) (*ddltailtest.Process, error)
	ready func(context.Context, *ddltailtest.Process) error
}

type peers []peer

// newPeers returns ddltail and its peers, which are this program, run with -peer.
func newPeers(binary string) (peers, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ps := peers{{
		name: nameDdltail, queue: "schema_notifications",
		start: func(t target) (*ddltailtest.Process, error) {
			variables := append([]string{"DDLTAIL_MONGODB_URI=" + t.uri, "DDLTAIL_DATABASE=" + t.database}, t.variables...)
			return ddltailtest.Start(binary, []string{"run"}, variables...)
		},
		ready: func(ctx context.Context, p *ddltailtest.Process) error { return p.WaitReady(ctx) },
	}}
	for _, name := range []string{nameFiltered, nameStream, nameTail} {
		ps = append(ps, newPeer(self, name))
	}
	return ps, nil
}

func newPeer(self, name string) peer {
	return peer{
		name: name, queue: queueName,
		start: func(t target) (*ddltailtest.Process, error) {
			return ddltailtest.Start(self, []string{
				"-peer", name, "-uri", t.uri, "-database", t.database,
				"-from", fmt.Sprintf("%d:%d", t.from.T, t.from.I),
			})
		},
		ready: waitPrinted,
	}
}

// named returns some of the peers.
func (ps peers) named(names ...string) peers {
	var some peers
	for _, name := range names {
		for _, p := range ps {
			if p.name == name {
				some = append(some, p)
			}
		}
	}
	return some
}

// with starts a peer, waits until it is ready, calls do, and stops the peer. The zero peer only calls
// do.
func (p peer) with(ctx context.Context, t target, do func(*ddltailtest.Process) error) (err error) {
	if p.start == nil {
		return do(nil)
	}
	process, err := p.start(t)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer func() { err = errors.Join(err, process.Close()) }()
	starting, cancel := context.WithTimeout(ctx, setLimit)
	defer cancel()
	if err := p.ready(starting, process); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	if err := do(process); err != nil {
		return fmt.Errorf("while running %s: %w\n%s", p.name, err, process.Stderr())
	}
	stopping, cancel := context.WithTimeout(ctx, setLimit)
	defer cancel()
	_, err = process.Stop(stopping)
	return err
}

// waitPrinted waits until the process has printed that it is ready.
func waitPrinted(ctx context.Context, p *ddltailtest.Process) error {
	for !strings.Contains(p.Stdout(), readyLine) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w\n%s", ctx.Err(), p.Stderr())
		case <-time.After(readyPoll):
		}
	}
	return nil
}
