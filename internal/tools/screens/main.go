//go:build linux

// Command screens writes the output of `ddltail history` and `ddltail status` in a terminal of 100
// columns into docs/history.md: it starts a replica set and ddltail, makes changes with an ordinary
// client, and runs the commands.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
	"github.com/ddltail/ddltail/test/terminal"
)

const (
	columns = 100
	begin   = "<!-- screens: written by make screens -->\n"
	end     = "<!-- end of screens -->"
	// limit bounds the whole run.
	limit = 3 * time.Minute
)

func main() {
	binary := flag.String("ddltail", "bin/ddltail", "the ddltail to show")
	page := flag.String("page", "docs/history.md", "the file to write into")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ctx, cancelLimit := context.WithTimeout(ctx, limit)
	defer cancelLimit()
	if err := run(ctx, *binary, *page); err != nil {
		fmt.Fprintln(os.Stderr, "screens:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, page string) (err error) {
	set, err := mongotest.StartReplicaSet(ctx, mongotest.Options{Members: 3})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Stop()) }()
	uri := set.URIOf("", "", "banking_db")
	tail, err := ddltailtest.Start(binary, []string{"run"}, "DDLTAIL_MONGODB_URI="+uri)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tail.Close()) }()
	if err := tail.WaitReady(ctx); err != nil {
		return err
	}
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Disconnect(context.WithoutCancel(ctx))) }()
	db := client.Database("banking_db")
	m, err := change(ctx, db)
	if err != nil {
		return err
	}
	text, err := screens(ctx, binary, uri, m)
	if err != nil {
		return err
	}
	return replace(page, text)
}

// marks are the times and IDs that the commands use.
type marks struct {
	before, after time.Time
	modified      string
}

// change makes the changes, with pauses in which ddltail records them, and returns the times and IDs
// that the commands use.
func change(ctx context.Context, db *mongo.Database) (marks, error) {
	pause := func() { time.Sleep(1100 * time.Millisecond) }
	var m marks
	steps := []func() error{
		command(ctx, db, bson.D{{Key: "create", Value: "payments"}}),
		index(ctx, db, "payments", bson.D{{Key: "account", Value: 1}, {Key: "at", Value: -1}}, options.Index().SetName("account_at")),
		index(ctx, db, "sessions", bson.D{{Key: "seen", Value: 1}}, options.Index().SetName("ttl").SetExpireAfterSeconds(3600)),
		func() error { m.before = time.Now(); return nil },
		command(ctx, db, bson.D{{Key: "collMod", Value: "payments"}, {Key: "validator", Value: bson.D{
			{Key: "amount", Value: bson.D{{Key: "$type", Value: "decimal"}}}}}, {Key: "validationAction", Value: "warn"}}),
		command(ctx, db, bson.D{{Key: "collMod", Value: "sessions"}, {Key: "index", Value: bson.D{
			{Key: "name", Value: "ttl"}, {Key: "expireAfterSeconds", Value: 86400}}}}),
		command(ctx, db, bson.D{{Key: "create", Value: "large_payments"}, {Key: "viewOn", Value: "payments"}, {Key: "pipeline", Value: bson.A{
			bson.D{{Key: "$match", Value: bson.D{{Key: "amount", Value: bson.D{{Key: "$gt", Value: 10000}}}}}}}}}),
		command(ctx, db.Client().Database("admin"), bson.D{{Key: "renameCollection", Value: "banking_db.sessions"}, {Key: "to", Value: "banking_db.logins"}}),
		command(ctx, db, bson.D{{Key: "dropIndexes", Value: "payments"}, {Key: "index", Value: "account_at"}}),
		func() error { m.after = time.Now(); return nil },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return m, err
		}
		pause()
	}
	var last struct {
		ID string `bson:"_id"`
	}
	err := db.Collection("schema_history").FindOne(ctx, bson.D{{Key: "operation", Value: "MODIFY_COLLECTION"},
		{Key: "collection", Value: "payments"}}).Decode(&last)
	m.modified = last.ID
	return m, err
}

func command(ctx context.Context, db *mongo.Database, cmd bson.D) func() error {
	return func() error { return db.RunCommand(ctx, cmd).Err() }
}

func index(ctx context.Context, db *mongo.Database, coll string, keys bson.D, o *options.IndexOptionsBuilder) func() error {
	return func() error {
		_, err := db.Collection(coll).Indexes().CreateOne(ctx, mongo.IndexModel{Keys: keys, Options: o})
		return err
	}
}

// screens runs the commands and returns their output as code blocks.
func screens(ctx context.Context, binary, uri string, m marks) (string, error) {
	clock := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
	id := regexp.MustCompile(`^[^:]*:(\d+):0*(\d+):0+$`).ReplaceAllString(m.modified, "$1:$2")
	var out strings.Builder
	for _, args := range [][]string{
		{"history", "--since", "1h"},
		{"history", "show", id},
		{"history", "diff", clock(m.before), clock(m.after)},
		{"history", "diff", clock(m.before), clock(m.after), "--format", "mongosh"},
		{"history", "--as-of", clock(m.before)},
		{"status"},
	} {
		cmd := exec.CommandContext(ctx, binary, args...)
		cmd.Env = append(os.Environ(), "DDLTAIL_MONGODB_URI="+uri, "TZ=UTC", "TERM=xterm")
		seen, err := terminal.Run(ctx, cmd, columns, 50)
		if err != nil {
			return "", fmt.Errorf("ddltail %s: %w\n%s", strings.Join(args, " "), err, seen)
		}
		fmt.Fprintf(&out, "```\n$ ddltail %s\n%s```\n\n", strings.Join(args, " "), plain(seen))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// plain removes the colours, which Markdown cannot show.
func plain(seen string) string {
	return regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(seen, "")
}

func replace(page, text string) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	head, rest, hasBegin := strings.Cut(string(old), begin)
	_, tail, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		return fmt.Errorf("%s has no markers for the screens", page)
	}
	return os.WriteFile(page, []byte(head+begin+text+end+tail), 0o644)
}
