package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
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
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/snapshot"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/usererror"
)

// driftHistory is the history that a comparison reads, if it can be reached.
type driftHistory struct {
	cfg    config.Config
	client *mongo.Client
	// db is nil if the history cannot be reached, for the reason in reason.
	db     *mongo.Database
	reason error
	// source is the live set's source in the history; empty if the history has none.
	source string
	// notes receives what the history does not know about a time.
	notes io.Writer
}

func (h *driftHistory) close() {
	if h.client != nil {
		disconnect(h.client)
	}
}

// connect opens the history. It is optional for a comparison of servers; without it the
// changes are not known.
func (q driftQuery) connect(ctx context.Context, notes io.Writer) (*driftHistory, error) {
	h := &driftHistory{cfg: q.cfg, source: q.source, notes: notes}
	if h.source == "" {
		h.source = q.cfg.Source
	}
	client, err := store.Connect(q.cfg.Sink.Options())
	if err != nil {
		return nil, err
	}
	h.client = client
	h.reason = awaitStep(ctx, zap.NewNop(), historyLimit, func(ctx context.Context) error {
		h.db, err = openSink(ctx, client, q.cfg)
		return err
	})
	if h.reason == nil {
		session := historySession{reader: history.NewReader(h.db), database: h.db.Name(), source: h.source}
		h.source, h.reason = session.soleSource(ctx)
	}
	if h.reason != nil {
		h.db = nil
	}
	// The history is optional, but a source that was named has to exist.
	if mistake := new(config.Error); q.source != "" && errors.As(h.reason, &mistake) {
		h.close()
		return nil, h.reason
	}
	return h, ctx.Err()
}

// reader returns the history, or the reason why it cannot be read.
func (h *driftHistory) reader() (history.Reader, error) {
	if h.db == nil {
		return history.Reader{}, h.reason
	}
	return history.NewReader(h.db), nil
}

// readDeclared reads and merges all declarations.
func (q driftQuery) readDeclared(ctx context.Context, h *driftHistory) (schema.Definitions, error) {
	declared := schema.Definitions{}
	var files []string
	for _, arg := range q.declared {
		var some schema.Definitions
		var err error
		switch {
		case strings.HasPrefix(arg, "mongodb://"), strings.HasPrefix(arg, "mongodb+srv://"):
			some, err = serverDefinitions(ctx, arg)
		case strings.HasPrefix(arg, "history:"):
			some, err = h.asOf(ctx, strings.TrimPrefix(arg, "history:"))
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
func (h *driftHistory) asOf(ctx context.Context, text string) (schema.Definitions, error) {
	reader, err := h.reader()
	if err != nil {
		return nil, err
	}
	source, at, _ := strings.Cut(text, "@")
	if source == "" {
		source = h.source
	}
	known, err := reader.Sources(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(known, source) {
		return nil, &config.Error{
			Reason: fmt.Sprintf("the database %s has no history of the source %q", h.db.Name(), source),
			Remedy: fmt.Sprintf("let history:SOURCE name one of %q", known),
		}
	}
	when := time.Now()
	if at != "" {
		if when, err = parseTime("history:", at, time.Now()); err != nil {
			return nil, err
		}
	}
	return h.schema(ctx, reader, history.AsOf{Source: source, At: when})
}

// schema reads the schema at a time from the history, and writes notes on what is uncertain. Where it is not completely known, nothing
// is compared: what is missing there may have existed.
func (h *driftHistory) schema(ctx context.Context, reader history.Reader, at history.AsOf) (schema.Definitions, error) {
	all, notes, err := reader.CompleteSchema(ctx, at)
	historySession{notes: h.notes}.note(notes)
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
		return nil, fmt.Errorf("the declared server %s: %w", strings.Join(parsed.Options().Hosts, ","), usererror.Listing(err, parsed.PathIsAuthSource()))
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

// liveOptions are those of MONGODB_URI, with the members that `ddltail run` recorded: the URI may
// name only one, which may be down.
func (h *driftHistory) liveOptions(ctx context.Context) *options.ClientOptions {
	opts := h.cfg.MongoDB.Options()
	if h.db == nil || h.cfg.MongoDB.Direct() {
		return opts
	}
	known := &replicaset.Known{}
	// Without the record the URI's hosts remain.
	_ = restoreMembers(ctx, h.cfg, h.db, known)
	for _, host := range known.Hosts() {
		if !slices.Contains(opts.Hosts, host) {
			opts.Hosts = append(opts.Hosts, host)
		}
	}
	return opts
}

// readLive lists the server or, with --at, reads the catalog at that time.
func (q driftQuery) readLive(ctx context.Context, h *driftHistory) (schema.Listed, error) {
	if q.at.IsZero() {
		listed, err := listServer(ctx, h.liveOptions(ctx), q.own)
		return listed, usererror.Listing(err, q.cfg.MongoDB.PathIsAuthSource())
	}
	reader, err := h.reader()
	if err != nil {
		return schema.Listed{}, err
	}
	all, err := h.schema(ctx, reader, history.AsOf{Source: h.source, At: q.at})
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

// causes finds the change that caused each difference that was observed at a time; zero for now.
func (h *driftHistory) causes(ctx context.Context, differences []drift.Difference, at time.Time) error {
	if h.db == nil {
		if len(differences) > 0 {
			historySession{notes: h.notes}.note([]string{fmt.Sprintf("the changes that caused the differences are not known: %v", h.reason)})
		}
		return nil
	}
	reader := history.NewReader(h.db)
	effects := map[drift.Kind]history.Effect{
		drift.Missing: history.Dropped, drift.Unexpected: history.Created, drift.Different: history.Altered,
	}
	for i, d := range differences {
		sought := history.Sought{Namespace: d.Namespace, Index: d.LiveIndex(), Effect: effects[d.Kind], Until: at}
		for _, detail := range d.Details {
			sought.Options = append(sought.Options, detail.Option)
		}
		c, ok, err := reader.Cause(ctx, h.source, sought)
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
