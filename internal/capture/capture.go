// Package capture runs every kind of DDL once on a server and returns the oplog entries that
// the server wrote, so that ddltail can be tested with servers that are not available here.
package capture

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// cleanupLimit bounds the removal of the databases, also after an interruption.
const cleanupLimit = 30 * time.Second

// own matches the names of databases created by captures, and of a capture itself.
var own = regexp.MustCompile(`^(ddltail_capture_[0-9a-f]{16})(_other)?$`)

// ErrUserDatabases is returned for a server with user databases.
var ErrUserDatabases = errors.New("the server has user databases")

// NewName returns a random name for a capture. The client of [Run] must have it as its application name: while it is
// connected, other captures do not remove the databases.
func NewName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return "ddltail_capture_" + hex.EncodeToString(b[:])
}

// Options configure a capture.
type Options struct {
	// Name is the name that NewName returned.
	Name string
	// Scratch accepts a server with user databases.
	Scratch bool
	// Log adds the server's log lines that name the databases.
	Log bool
	// Progress is called with the name of each step, and the server's error if it refused the step.
	Progress func(step string, refusal error)
}

// Capture is the result of a run.
type Capture struct {
	Version string
	// Entries are oplog entries in the order of the oplog.
	Entries []bson.Raw
	// Refused are the steps that the server refused, with its error.
	Refused []string
	// Log are lines of the server's log.
	Log []string
}

// Run removes what an interrupted capture has left, runs every kind of DDL once in two
// databases with random names, and removes them. The client's write concern must be majority, its application name opts.Name.
func Run(ctx context.Context, client *mongo.Client, opts Options) (Capture, error) {
	if err := prepare(ctx, client, opts.Scratch); err != nil {
		return Capture{}, err
	}
	db := databases{main: client.Database(opts.Name), other: client.Database(opts.Name + "_other")}
	c, err := run(ctx, client, db, opts)
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	for _, d := range []*mongo.Database{db.main, db.other} {
		if dropErr := d.Drop(bounded); dropErr != nil {
			err = errors.Join(err, fmt.Errorf("drop %s (the next capture removes it): %w", d.Name(), dropErr))
		}
	}
	return c, err
}

// prepare checks the server, and removes what an interrupted capture has left.
func prepare(ctx context.Context, client *mongo.Client, scratch bool) error {
	var hello struct {
		SetName string `bson:"setName"`
	}
	if err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return fmt.Errorf("query the server: %w", err)
	}
	if hello.SetName == "" {
		return errors.New("the server is not a member of a replica set: it has no oplog")
	}
	names, err := client.ListDatabaseNames(ctx, bson.D{})
	if err != nil {
		return fmt.Errorf("list the databases: %w", err)
	}
	var left, users []string
	for _, n := range names {
		switch {
		case own.MatchString(n):
			left = append(left, n)
		case !slices.Contains([]string{"admin", "config", "local"}, n):
			users = append(users, n)
		}
	}
	if len(users) > 0 && !scratch {
		return fmt.Errorf("%w: %s", ErrUserDatabases, strings.Join(users, ", "))
	}
	running, err := runningCaptures(ctx, client)
	if err != nil {
		return err
	}
	for _, n := range left {
		if running[own.FindStringSubmatch(n)[1]] {
			continue
		}
		if err := client.Database(n).Drop(ctx); err != nil {
			return fmt.Errorf("drop %s of an interrupted capture: %w", n, err)
		}
	}
	return nil
}

// runningCaptures returns the names of the captures that are connected to the server.
func runningCaptures(ctx context.Context, client *mongo.Client) (map[string]bool, error) {
	cursor, err := client.Database("admin").Aggregate(ctx, mongo.Pipeline{
		{{Key: "$currentOp", Value: bson.D{{Key: "allUsers", Value: true}, {Key: "idleConnections", Value: true}}}},
		{{Key: "$match", Value: bson.D{{Key: "appName", Value: bson.D{{Key: "$regex", Value: own.String()}}}}}},
		{{Key: "$project", Value: bson.D{{Key: "appName", Value: 1}}}},
	})
	if err != nil {
		return nil, fmt.Errorf("list the connections of other captures: %w", err)
	}
	var connections []struct {
		App string `bson:"appName"`
	}
	if err := cursor.All(ctx, &connections); err != nil {
		return nil, fmt.Errorf("list the connections of other captures: %w", err)
	}
	names := make(map[string]bool)
	for _, c := range connections {
		names[c.App] = true
	}
	return names, nil
}

func run(ctx context.Context, client *mongo.Client, db databases, opts Options) (Capture, error) {
	var c Capture
	var build struct {
		Version string `bson:"version"`
	}
	if err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
		return c, fmt.Errorf("read the server's version: %w", err)
	}
	c.Version = build.Version
	start, err := newest(ctx, client)
	if err != nil {
		return c, err
	}
	for _, s := range steps() {
		err := s.run(ctx, db)
		var refusal mongo.ServerError
		if err != nil && (ctx.Err() != nil || !errors.As(err, &refusal)) {
			return c, fmt.Errorf("step %q: %w", s.name, err)
		}
		if err != nil {
			c.Refused = append(c.Refused, s.name+": "+strings.Join(strings.Fields(err.Error()), " "))
		}
		opts.Progress(s.name, err)
	}
	if c.Entries, err = entries(ctx, client, start, db); err != nil {
		return c, err
	}
	if opts.Log {
		c.Log, err = logLines(ctx, client, db.main.Name())
	}
	return c, err
}

// newest returns the timestamp of the newest oplog entry.
func newest(ctx context.Context, client *mongo.Client) (bson.Timestamp, error) {
	var entry struct {
		TS bson.Timestamp `bson:"ts"`
	}
	err := oplogOf(client).FindOne(ctx, bson.D{}, options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})).Decode(&entry)
	if err != nil {
		return bson.Timestamp{}, fmt.Errorf("read the newest oplog entry: %w", err)
	}
	return entry.TS, nil
}

// entries returns the entries after start that concern only these databases.
func entries(ctx context.Context, client *mongo.Client, start bson.Timestamp, db databases) ([]bson.Raw, error) {
	cursor, err := oplogOf(client).Find(ctx, bson.D{{Key: "ts", Value: bson.D{{Key: "$gt", Value: start}}}})
	if err != nil {
		return nil, fmt.Errorf("read the oplog: %w", err)
	}
	defer cursor.Close(context.WithoutCancel(ctx))
	var found []bson.Raw
	for cursor.Next(ctx) {
		if isOf(cursor.Current, db.main.Name()) {
			found = append(found, slices.Clone(cursor.Current))
		}
	}
	if err := cursor.Err(); err != nil {
		return nil, fmt.Errorf("read the oplog: %w", err)
	}
	return found, nil
}

func oplogOf(client *mongo.Client) *mongo.Collection {
	return client.Database("local").Collection("oplog.rs")
}

// isOf reports whether an entry, or each operation in it, concerns the databases that begin with a
// name, and is a command or a change of views: writes of documents are not DDL.
func isOf(entry bson.Raw, name string) bool {
	ns, _ := entry.Lookup("ns").StringValueOK()
	operations, isBatch := entry.Lookup("o", "applyOps").ArrayOK()
	if isBatch {
		values, err := operations.Values()
		return err == nil && len(values) > 0 && !slices.ContainsFunc(values, func(v bson.RawValue) bool {
			inner, ok := v.DocumentOK()
			if !ok {
				return true
			}
			ns, _ := inner.Lookup("ns").StringValueOK()
			return !strings.HasPrefix(ns, name)
		})
	}
	op, _ := entry.Lookup("op").StringValueOK()
	return strings.HasPrefix(ns, name) && (op == "c" || strings.HasSuffix(ns, ".system.views"))
}

// logLines returns the lines of the server's log that name the databases.
func logLines(ctx context.Context, client *mongo.Client, name string) ([]string, error) {
	var reply struct {
		Log []string `bson:"log"`
	}
	err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "getLog", Value: "global"}}).Decode(&reply)
	if err != nil {
		return nil, fmt.Errorf("read the server's log: %w", err)
	}
	return slices.DeleteFunc(reply.Log, func(line string) bool { return !strings.Contains(line, name) }), nil
}

// Format returns the form of ddltail's golden cases: a comment, then sections.
func (c Capture) Format() ([]byte, error) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "As mongod %s wrote it.\n", c.Version)
	for _, r := range c.Refused {
		fmt.Fprintf(&text, "Refused: %s\n", r)
	}
	text.WriteString("-- entries --\n")
	for _, e := range c.Entries {
		line, err := bson.MarshalExtJSON(e, true, false)
		if err != nil {
			return nil, fmt.Errorf("encode an oplog entry: %w", err)
		}
		text.Write(append(line, '\n'))
	}
	if len(c.Log) > 0 {
		text.WriteString("-- log --\n" + strings.Join(c.Log, "\n") + "\n")
	}
	return text.Bytes(), nil
}
