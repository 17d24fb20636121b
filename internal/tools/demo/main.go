// Command demo demonstrates ddltail: a replica set of three members on loopback, `ddltail run`, and
// a tour of schema changes by an ordinary client, each of which `ddltail listen` delivers to a small
// backend.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// database holds both the changes and the notifications, as is common.
const database = "banking_db"

// startLimit is how long the replica set and ddltail may take to be ready.
const startLimit = 2 * time.Minute

func main() {
	binary := flag.String("ddltail", "bin/ddltail", "the ddltail to show")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	d := demo{binary: *binary, out: os.Stdout, once: os.Getenv("DEMO_ONCE") == "1"}
	err := d.run(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

type demo struct {
	binary string
	out    io.Writer
	// once ends the demo after the tour.
	once bool
}

func (d demo) run(ctx context.Context) (err error) {
	starting, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	d.say("Starting a replica set of three members …")
	set, err := mongotest.StartReplicaSet(starting, mongotest.Options{Members: 3})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Stop()) }()

	uri := set.URIOf("", "", database)
	d.say("Starting ddltail run …")
	tail, err := ddltailtest.Start(d.binary, []string{"run"}, "DDLTAIL_MONGODB_URI="+uri)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop(tail)) }()
	if err := tail.WaitReady(starting); err != nil {
		return err
	}

	listener, err := d.listen(starting, uri)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, listener.close()) }()

	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return fmt.Errorf("connect to the replica set: %w", err)
	}
	defer func() { err = errors.Join(err, client.Disconnect(context.WithoutCancel(ctx))) }()
	if err := d.tour(ctx, client.Database(database), listener); err != nil {
		return err
	}
	if d.once {
		return nil
	}
	d.stay(ctx, uri, tail, listener)
	return nil
}

// stop stops ddltail as an operator would.
func stop(tail *ddltailtest.Process) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := tail.Stop(ctx)
	return errors.Join(err, tail.Close())
}

// stay keeps everything running until a signal.
func (d demo) stay(ctx context.Context, uri string, tail *ddltailtest.Process, l listening) {
	d.say("")
	d.say("Everything runs until Ctrl-C.")
	d.say("  connection string  %s", uri)
	d.say("  metrics            run %s/metrics, listen %s/metrics", tail.URL(), l.process.URL())
	d.say("  try                mongosh '%s' --eval 'db.accounts.createIndex({owner: 1}); sleep(500); "+
		"db.schema_notifications.find({operation: {$exists: true}}).sort({_id: -1}).limit(1)'", uri)
	d.print(ctx, l.backend)
	d.say("\nStopping.")
}

func (d demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, format+"\n", args...)
}
