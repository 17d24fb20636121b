// Command demo shows ddltail at work: a replica set of three members on loopback,
// `ddltail run` beside it, and a tour of schema changes by an ordinary client.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/mongotest"
)

// database holds the changes and the notifications alike, as it often is.
const database = "banking_db"

// startLimit is how long the replica set and ddltail may take to be ready.
const startLimit = 2 * time.Minute

func main() {
	binary := flag.String("ddltail", "bin/ddltail", "the ddltail to show")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
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
	tail, err := startDdltail(starting, d.binary, uri)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tail.close()) }()

	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return fmt.Errorf("connect to the replica set: %w", err)
	}
	defer func() { err = errors.Join(err, client.Disconnect(context.WithoutCancel(ctx))) }()
	if err := d.tour(ctx, client.Database(database)); err != nil {
		return err
	}
	if d.once {
		return nil
	}
	d.stay(ctx, uri, tail)
	return nil
}

// stay leaves everything running for whoever wants to try.
func (d demo) stay(ctx context.Context, uri string, tail *ddltail) {
	d.say("")
	d.say("All of it stays up until Ctrl-C.")
	d.say("  connection string  %s", uri)
	d.say("  metrics            %s/metrics", tail.url)
	d.say("  try                mongosh '%s' --eval 'db.accounts.createIndex({owner: 1}); sleep(500); "+
		"db.schema_notifications.find({operation: {$exists: true}}).sort({_id: -1}).limit(1)'", uri)
	<-ctx.Done()
	d.say("\nStopping.")
}

func (d demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, format+"\n", args...)
}

// tour makes the changes of every stop and waits for their notifications.
func (d demo) tour(ctx context.Context, db *mongo.Database) error {
	w, err := watch(ctx, db)
	if err != nil {
		return err
	}
	defer w.close()
	d.say("\nAn ordinary client changes the schema of %s; nobody notifies by hand.\n"+
		"Behind each notification: from the client's acknowledgement to the document being readable.\n", database)
	for _, s := range stops(db) {
		d.say("> %s", s.typed)
		if err := d.show(ctx, w, s); err != nil {
			return fmt.Errorf("%s: %w", s.typed, err)
		}
	}
	return d.figures(ctx, w, db)
}

func (d demo) show(ctx context.Context, w *watcher, s stop) error {
	if err := s.do(ctx); err != nil {
		return err
	}
	acknowledged := time.Now()
	for _, want := range s.want {
		n, err := w.next(ctx)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", want, err)
		}
		d.say("  %5.1f ms  %-17s  %s", milliseconds(n.readable.Sub(acknowledged)), n.Operation, n.Statement)
		if got := n.summary(); got != want {
			return fmt.Errorf("got the notification %q, want %q", got, want)
		}
	}
	return nil
}

// figures measures more changes than a person wants to see.
func (d demo) figures(ctx context.Context, w *watcher, db *mongo.Database) error {
	const changes = 100
	took := make([]float64, 0, changes)
	for i := range changes {
		name := fmt.Sprintf("measured_%03d", i)
		if err := db.CreateCollection(ctx, name); err != nil {
			return err
		}
		acknowledged := time.Now()
		n, err := w.next(ctx)
		if err != nil {
			return fmt.Errorf("waiting for the notification of %s: %w", name, err)
		}
		if want := "CREATE_COLLECTION " + name; n.summary() != want {
			return fmt.Errorf("got the notification %q, want %q", n.summary(), want)
		}
		took = append(took, milliseconds(n.readable.Sub(acknowledged)))
	}
	slices.Sort(took)
	d.say("\n%d more changes, one after the other: median %.1f ms, 95th percentile %.1f ms, all notified.",
		changes, took[changes/2], took[changes*95/100])
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// stop is one stop of the tour: what a user would type, how it is done, and the
// notifications it must bring.
type stop struct {
	typed string
	do    func(context.Context) error
	want  []string
}

func stops(db *mongo.Database) []stop {
	transactions := db.Collection("transactions")
	index := func(model mongo.IndexModel) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := transactions.Indexes().CreateOne(ctx, model)
			return err
		}
	}
	return []stop{
		{
			typed: `db.createCollection("payments")`,
			do:    func(ctx context.Context) error { return db.CreateCollection(ctx, "payments") },
			want:  []string{"CREATE_COLLECTION payments"},
		},
		{
			typed: `db.transactions.insertOne({amount: 12.5, account: "A-1"})   // makes the collection`,
			do: func(ctx context.Context) error {
				_, err := transactions.InsertOne(ctx, bson.D{{Key: "amount", Value: 12.5}, {Key: "account", Value: "A-1"}})
				return err
			},
			want: []string{"CREATE_COLLECTION transactions"},
		},
		{
			typed: `db.transactions.createIndex({amount: 1}, {name: "amount_idx"})   // a two-phase build`,
			do:    index(mongo.IndexModel{Keys: bson.D{{Key: "amount", Value: 1}}, Options: options.Index().SetName("amount_idx")}),
			want:  []string{"CREATE_INDEX transactions amount_idx"},
		},
		{
			typed: `db.transactions.createIndex({account: 1, amount: -1}, {unique: true})`,
			do: index(mongo.IndexModel{
				Keys:    bson.D{{Key: "account", Value: 1}, {Key: "amount", Value: -1}},
				Options: options.Index().SetUnique(true),
			}),
			want: []string{"CREATE_INDEX transactions account_1_amount_-1"},
		},
		{
			typed: `db.transactions.dropIndex("amount_idx")`,
			do:    func(ctx context.Context) error { return transactions.Indexes().DropOne(ctx, "amount_idx") },
			want:  []string{"DROP_INDEX transactions amount_idx"},
		},
		{
			typed: `db.payments.drop()`,
			do:    func(ctx context.Context) error { return db.Collection("payments").Drop(ctx) },
			want:  []string{"DROP_COLLECTION payments"},
		},
	}
}
