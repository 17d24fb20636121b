package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// tour makes the changes of every stage and waits for their notifications.
func (d demo) tour(ctx context.Context, db *mongo.Database, l listening) error {
	w, err := watch(ctx, db)
	if err != nil {
		return err
	}
	defer w.close()
	d.say("\nAn ordinary client changes the schema of %s; nobody notifies by hand.\n"+
		"Before each notification: from the client's acknowledgement to the document being readable, then to\n"+
		"the backend having got it from ddltail listen.\n", database)
	for _, s := range stages(db) {
		d.say("> %s", s.typed)
		if err := d.show(ctx, w, l, s); err != nil {
			return fmt.Errorf("%s: %w", s.typed, err)
		}
	}
	if err := d.figures(ctx, w, db); err != nil {
		return err
	}
	return d.gotAll(ctx, l, measured)
}

func (d demo) show(ctx context.Context, w *watcher, l listening, s stage) error {
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
		if err := d.got(ctx, l, want, acknowledged); err != nil {
			return err
		}
	}
	return nil
}

// measured is how many changes figures makes.
const measured = 100

// figures measures more changes than a person wants to see.
func (d demo) figures(ctx context.Context, w *watcher, db *mongo.Database) error {
	took := make([]float64, 0, measured)
	for i := range measured {
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
		measured, took[measured/2], took[measured*95/100])
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// stage is one step of the tour: what a user would type, how it is done, and the
// notifications it must bring.
type stage struct {
	typed string
	do    func(context.Context) error
	want  []string
}

func stages(db *mongo.Database) []stage {
	transactions := db.Collection("transactions")
	index := func(model mongo.IndexModel) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := transactions.Indexes().CreateOne(ctx, model)
			return err
		}
	}
	return []stage{
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
