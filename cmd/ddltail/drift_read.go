package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/declaration"
	"github.com/ddltail/ddltail/internal/drift"
	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/snapshot"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/usererror"
)

// driftWorld is what a comparison reads from: the history, if it can be reached.
type driftWorld struct {
	cfg    config.Config
	client *mongo.Client
	// db is nil where the history cannot be reached; reason says why.
	db     *mongo.Database
	reason error
	// source is the live set's in the history; empty where the history has none.
	source string
	// notes is where it says what a moment of the history does not know.
	notes io.Writer
}

func (w *driftWorld) close() {
	if w.client != nil {
		disconnect(w.client)
	}
}

// connect opens the history. A comparison of servers needs none: the changes are not known
// then.
func (q driftQuestion) connect(ctx context.Context, notes io.Writer) (*driftWorld, error) {
	w := &driftWorld{cfg: q.cfg, source: q.source, notes: notes}
	if w.source == "" {
		w.source = q.cfg.Source
	}
	client, err := store.Connect(q.cfg.Sink.Options())
	if err != nil {
		return nil, err
	}
	w.client = client
	w.reason = awaitStep(ctx, zap.NewNop(), historyLimit, func(ctx context.Context) error {
		w.db, err = openSink(ctx, client, q.cfg)
		return err
	})
	if w.reason == nil {
		w.source, w.reason = w.soleSource(ctx)
	}
	if w.reason != nil {
		w.db = nil
	}
	return w, ctx.Err()
}

// soleSource returns the source that was named, or the only one.
func (w *driftWorld) soleSource(ctx context.Context) (string, error) {
	known, err := history.NewReader(w.db).Sources(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case w.source != "":
		for _, s := range known {
			if s == w.source {
				return s, nil
			}
		}
		return "", &config.Error{Reason: "--source " + w.source, Remedy: "the history has " + strings.Join(known, ", ")}
	case len(known) == 1:
		return known[0], nil
	case len(known) == 0:
		return "", fmt.Errorf("%s holds no history", w.db.Name())
	}
	return "", &config.Error{Reason: "--source", Remedy: "the history has " + strings.Join(known, ", ") + ": name the live set's"}
}

// needed returns the history, or why it cannot be read.
func (w *driftWorld) needed() (history.Reader, error) {
	if w.db == nil {
		return history.Reader{}, w.reason
	}
	return history.NewReader(w.db), nil
}

// readDeclared reads all declarations as one.
func (q driftQuestion) readDeclared(ctx context.Context, w *driftWorld) (schema.Definitions, error) {
	declared := schema.Definitions{}
	var files []string
	for _, arg := range q.declared {
		var some schema.Definitions
		var err error
		switch {
		case strings.HasPrefix(arg, "mongodb://"), strings.HasPrefix(arg, "mongodb+srv://"):
			some, err = serverDefinitions(ctx, arg)
		case strings.HasPrefix(arg, "history:"):
			some, err = w.asOf(ctx, strings.TrimPrefix(arg, "history:"))
		default:
			files = append(files, arg)
			continue
		}
		if err != nil {
			return nil, err
		}
		for ns, def := range some {
			declared[ns] = def
		}
	}
	if len(files) == 0 {
		return declared, nil
	}
	read, err := declaration.Read(files...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &config.Error{Reason: "declaration", Remedy: err.Error(), Err: err}
	}
	if err != nil {
		return nil, declarationError(err)
	}
	for ns, def := range read.Definitions {
		declared[ns] = def
	}
	return declared, nil
}

// asOf reads SOURCE[@TIME] from the history.
func (w *driftWorld) asOf(ctx context.Context, text string) (schema.Definitions, error) {
	reader, err := w.needed()
	if err != nil {
		return nil, err
	}
	source, at, _ := strings.Cut(text, "@")
	if source == "" {
		source = w.source
	}
	when := time.Now()
	if at != "" {
		if when, err = moment("history:", at, time.Now()); err != nil {
			return nil, err
		}
	}
	return w.schema(ctx, reader, history.AsOf{Source: source, At: when})
}

// schema reads a moment of the history, and notes where it is not certain.
func (w *driftWorld) schema(ctx context.Context, reader history.Reader, at history.AsOf) (schema.Definitions, error) {
	all, notes, err := reader.Schema(ctx, at)
	answer{notes: w.notes}.note(notes)
	return all, err
}

// serverDefinitions lists a server, which needs no oplog.
func serverDefinitions(ctx context.Context, uri string) (schema.Definitions, error) {
	parsed, err := config.ParseURI(uri)
	if err != nil {
		return nil, &config.Error{Reason: "declaration", Remedy: err.Error()}
	}
	listed, err := listServer(ctx, parsed.Options(), schema.Scope{})
	if err != nil {
		return nil, err
	}
	if len(listed.Unlisted) > 0 {
		return nil, fmt.Errorf("the declared server cannot list %s: %s", listed.Unlisted[0], listed.Unlisted[0].Reason)
	}
	return definitionsOf(listed), nil
}

func listServer(ctx context.Context, opts *options.ClientOptions, scope schema.Scope) (schema.Listed, error) {
	client, err := mongo.Connect(opts, options.Client().SetServerSelectionTimeout(historyLimit))
	if err != nil {
		return schema.Listed{}, err
	}
	defer disconnect(client)
	listing, err := snapshot.NewListing(oplog.Member{Host: strings.Join(opts.Hosts, ","), Client: client}, bson.Timestamp{})
	if err != nil {
		return schema.Listed{}, err
	}
	defer listing.Close()
	return listing.List(ctx, scope)
}

// readLive lists the server or, with --at, reads the catalog as of then.
func (q driftQuestion) readLive(ctx context.Context, w *driftWorld) (schema.Listed, error) {
	if q.at.IsZero() {
		listed, err := listServer(ctx, q.cfg.MongoDB.Options(), schema.Scope{Own: store.Collections(q.cfg.Database)})
		return listed, usererror.Listing(err, q.cfg.MongoDB.PathIsAuthSource())
	}
	reader, err := w.needed()
	if err != nil {
		return schema.Listed{}, err
	}
	all, err := w.schema(ctx, reader, history.AsOf{Source: w.source, At: q.at})
	if err != nil {
		return schema.Listed{}, err
	}
	var listed schema.Listed
	for _, ns := range all.Namespaces() {
		def := all[ns]
		listed.Versions = append(listed.Versions, schema.Version{Namespace: ns, Definition: &def})
	}
	return listed, nil
}

// causes finds the change behind each difference.
func (w *driftWorld) causes(ctx context.Context, differences []drift.Difference) error {
	if w.db == nil {
		return nil
	}
	reader := history.NewReader(w.db)
	effects := map[drift.Kind]history.Effect{
		drift.Missing: history.Dropped, drift.Unexpected: history.Created, drift.Different: history.Altered,
	}
	for i, d := range differences {
		sought := history.Sought{Namespace: d.Namespace, Index: d.LiveIndex(), Effect: effects[d.Kind]}
		for _, detail := range d.Details {
			sought.Options = append(sought.Options, detail.Option)
		}
		c, ok, err := reader.Cause(ctx, w.source, sought)
		if err != nil {
			return err
		}
		if ok {
			user, _ := c.Raw.Lookup("actor", "user").StringValueOK()
			differences[i].Cause = &drift.Cause{ID: c.ID, Time: c.Wall, Operation: string(c.Operation), Actor: user}
		}
	}
	return nil
}
