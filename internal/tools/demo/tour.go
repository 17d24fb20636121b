package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// tour makes the changes of every stage and waits for their notifications.
func (d demo) tour(ctx context.Context, db *mongo.Database, l listening) error {
	w, err := watch(ctx, db)
	if err != nil {
		return err
	}
	defer w.close()
	d.say("\nAn ordinary client changes the schema of %s; no manual notifications are needed.\n"+
		"Before each notification: milliseconds from the client's acknowledgement until the document is\n"+
		"readable, and until the backend has received it from ddltail listen.\n", database)
	server, err := wireVersion(ctx, db)
	if err != nil {
		return err
	}
	for _, s := range append(plain(db), disguised(db)...) {
		if s.since > server {
			continue
		}
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

func wireVersion(ctx context.Context, db *mongo.Database) (int32, error) {
	var hello struct {
		Newest int32 `bson:"maxWireVersion"`
	}
	if err := db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return 0, fmt.Errorf("read the server's version: %w", err)
	}
	return hello.Newest, nil
}

func (d demo) show(ctx context.Context, w *watcher, l listening, s stage) error {
	if err := s.do(ctx); err != nil {
		return err
	}
	acknowledged := time.Now()
	var printed []notification
	for _, want := range s.want {
		n, err := w.next(ctx)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", want, err)
		}
		if got := n.summary(); got != want {
			return fmt.Errorf("got the notification %q, want %q", got, want)
		}
		printed = append(printed, n)
	}
	got, err := l.all(ctx, s.want)
	if err != nil {
		return err
	}
	for _, n := range printed {
		d.say("  %5.1f %5.1f  %-18s %s", milliseconds(n.readable.Sub(acknowledged)), milliseconds(got[n.summary()].Sub(acknowledged)),
			n.Operation, clipped(n.Statement))
	}
	return nil
}

// clipped truncates a statement to the width of a terminal.
func clipped(statement string) string {
	const most = 96
	if letters := []rune(statement); len(letters) > most {
		return string(letters[:most-1]) + "…"
	}
	return statement
}

// measured is the number of changes that figures makes.
const measured = 100

// figures measures further changes without printing each.
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
