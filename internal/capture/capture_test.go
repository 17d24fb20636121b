package capture_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/internal/capture"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestRun captures, is interrupted, and finds what a killed process has left and what is a user's.
func TestRun(t *testing.T) {
	set := mongotest.NewReplicaSet(t, mongotest.Options{})
	client, err := mongo.Connect(options.Client().ApplyURI(set.URI()).SetWriteConcern(writeconcern.Majority()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	leftOver := client.Database("ddltail_capture_0123456789abcdef")
	create(t, leftOver)

	c, err := capture.Run(t.Context(), client, capture.Options{Log: true, Progress: func(string, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Format()
	if err != nil {
		t.Fatal(err)
	}
	if _, entries, found := strings.Cut(string(text), "\n-- entries --\n"); !found || strings.Count(entries, "\n") < len(c.Entries) || len(c.Log) == 0 {
		t.Errorf("%d entries, %d lines of the log:\n%s", len(c.Entries), len(c.Log), text)
	}
	names := make(map[string]bool)
	for _, e := range c.Entries {
		if o, err := e.Lookup("o").Document().Elements(); err == nil && len(o) > 0 {
			names[o[0].Key()] = true
		}
	}
	for _, want := range []string{"create", "createIndexes", "startIndexBuild", "commitIndexBuild", "abortIndexBuild", "dropIndexes", "collMod", "renameCollection", "drop", "dropDatabase", "applyOps"} {
		if !names[want] {
			t.Errorf("no entry of %s; refused: %q", want, c.Refused)
		}
	}
	empty(t, client)

	ctx, cancel := context.WithCancel(t.Context())
	_, err = capture.Run(ctx, client, capture.Options{Progress: func(step string, _ error) {
		if step == "create view" {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	empty(t, client)

	create(t, client.Database("shop"))
	if _, err := capture.Run(t.Context(), client, capture.Options{}); !errors.Is(err, capture.ErrUserDatabases) || !strings.Contains(err.Error(), "shop") {
		t.Errorf("beside a user's database: %v", err)
	}
	if _, err := capture.Run(t.Context(), client, capture.Options{Scratch: true, Progress: func(string, error) {}}); err != nil {
		t.Errorf("beside a user's database, with scratch: %v", err)
	}
	if n, err := client.Database("shop").Collection("c").EstimatedDocumentCount(t.Context()); n != 1 || err != nil {
		t.Errorf("the user's collection holds %d documents, %v", n, err)
	}
}

func create(t *testing.T, db *mongo.Database) {
	t.Helper()
	if _, err := db.Collection("c").InsertOne(t.Context(), bson.D{}); err != nil {
		t.Fatal(err)
	}
}

// empty wants no database but the server's own.
func empty(t *testing.T, client *mongo.Client) {
	t.Helper()
	names, err := client.ListDatabaseNames(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	if names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains([]string{"admin", "config", "local"}, n) }); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
}
