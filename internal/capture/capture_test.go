package capture_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
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

	beside := "ddltail_capture_fedcba9876543210"
	other, err := mongo.Connect(options.Client().ApplyURI(set.URI()).SetAppName(beside))
	if err != nil {
		t.Fatal(err)
	}
	create(t, other.Database(beside))

	c, err := capture.Run(t.Context(), client, capture.Options{Name: capture.NewName(), Log: true, Progress: func(string, error) {}})
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
	if n, err := other.Database(beside).Collection("c").EstimatedDocumentCount(t.Context()); n != 1 || err != nil {
		t.Errorf("the database of a capture that runs holds %d documents, %v", n, err)
	}
	if err := other.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	judge(t, text)

	ctx, cancel := context.WithCancel(t.Context())
	_, err = capture.Run(ctx, client, capture.Options{Name: capture.NewName(), Progress: func(step string, _ error) {
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
	if _, err := capture.Run(t.Context(), client, capture.Options{Name: capture.NewName(), Scratch: true, Progress: func(string, error) {}}); err != nil {
		t.Errorf("beside a user's database, with scratch: %v", err)
	}
	if n, err := client.Database("shop").Collection("c").EstimatedDocumentCount(t.Context()); n != 1 || err != nil {
		t.Errorf("the user's collection holds %d documents, %v", n, err)
	}
}

// judge checks a capture by the rules of the golden cases, as the documentation says.
func judge(t *testing.T, text []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "capture.txt")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "test", "-count=1", "../detector", "-run", "Corpus", "-corpus", file, "-v").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS") || strings.Contains(string(out), "SKIP") {
		t.Errorf("%v\n%s", err, out)
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
