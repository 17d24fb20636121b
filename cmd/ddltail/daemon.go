package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/ddltail/ddltail/internal/attribution"
	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/credentials"
	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/pipeline"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/usererror"
	"github.com/ddltail/ddltail/internal/web"
)

// daemon holds the state of `run`, but for its HTTP server.
type daemon struct {
	cfg     config.Config
	log     *zap.Logger
	metrics *metrics.Run
	status  *pipeline.Status
	actors  *attribution.Attributor // nil if DDLTAIL_ACTOR is off
	hangup  *hangup                 // reopens files and rereads credentials on SIGHUP
	seeds   replicaset.Seeds
	// credentials rotates the credentials in cfg and seeds.
	credentials *credentials.Rotation
}

func (d *daemon) rows() []web.Row {
	ready := "yes"
	if d.status.Ready() != nil {
		ready = "no"
	}
	position := notKnown
	if at := (oplog.OpTime{TS: d.status.Position()}); !at.IsZero() {
		position = at.Time().Format(time.RFC3339)
	}
	return []web.Row{
		{Name: "version", Value: orUnknown(build().Version)},
		{Name: "tailing", Value: ready},
		{Name: "oplog position", Value: position},
	}
}

// detect opens the sinks, then runs sessions until the context ends.
func (d *daemon) detect(ctx context.Context) error {
	outputs, err := openSinks(d.cfg, sinkReport{d.log, d.metrics})
	if err != nil {
		return err
	}
	defer d.closeSinks(outputs)
	if brokerDelaysHistory(outputs) {
		d.log.Warn("an unavailable broker delays the history; run the broker's sink in a process with another DDLTAIL_NAME")
	}
	d.credentials = credentials.New(d.cfg, d.log)
	d.credentials.Changed = func(mongoDB, sinkURI config.URI) {
		tailed, stored := mongoDB.Expiry(), sinkURI.Expiry()
		d.metrics.Certificates(map[string]time.Time{
			"mongodb_client": tailed.Client, "mongodb_ca": tailed.CA, "sink_client": stored.Client, "sink_ca": stored.CA,
		})
	}
	d.hangup.call(func() {
		reopenFiles(outputs, d.log)
		d.credentials.Reread()
	})
	return d.credentials.Run(ctx, func(ctx context.Context, mongoDB, sinkURI config.URI, reconnect bool) error {
		d.cfg.MongoDB, d.cfg.Sink, d.seeds.Options = mongoDB, sinkURI, mongoDB.Options()
		return d.session(ctx, outputs, reconnect)
	})
}

// session connects, finds the position to start at, and runs the pipeline, all with one set
// of credentials. Reconnect is true if an earlier session ran with other credentials.
func (d *daemon) session(ctx context.Context, outputs []sink.Output, reconnect bool) error {
	client, err := store.Connect(d.cfg.Sink.Options())
	if err != nil {
		return err
	}
	defer disconnect(client)
	var p *pipeline.Pipeline
	connect := func(ctx context.Context) error {
		p, err = d.prepare(ctx, client, outputs)
		return err
	}
	wait := waitAtStart(d.log)
	if reconnect {
		wait = reconnecting(d.credentials, d.status)
	}
	if err := wait(ctx, connect); err != nil {
		return err
	}
	d.metrics.SetInfo(metrics.Info{Component: "run", ReplicaSet: p.Origin.ReplicaSet, Source: p.Origin.Source, Name: d.cfg.Name, Database: d.cfg.Database})
	if p.Queue {
		warnQueueRisks(ctx, p.Database, d.log)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.Run(ctx) })
	group.Go(func() error { return p.Observe(ctx) })
	if d.actors != nil {
		d.actors.Since = actorsSince(ctx, p)
		group.Go(func() error { d.actors.Run(ctx); return nil })
	}
	group.Go(func() error { return d.watchPrivileges(ctx, p.Database) })
	group.Go(func() error { return p.BuildIndexes(ctx) })
	group.Go(func() error { return d.watchDeclared(ctx, p.Database, p.Origin.Source) })
	group.Go(func() error { return d.retain(ctx, p.Database, p.Origin.Source) })
	return group.Wait()
}

// reconnecting returns a wait without a limit for the first step of a session with new credentials. Each failure is the reason why the
// process is not ready, and proof that it is alive.
func reconnecting(with *credentials.Rotation, status interface{ Interrupted(reason error) }) waitFunc {
	status.Interrupted(errors.New("reconnecting with new credentials"))
	return func(ctx context.Context, step func(context.Context) error) error {
		return with.Connect(ctx, func(ctx context.Context) error {
			err := step(ctx)
			if err != nil {
				status.Interrupted(fmt.Errorf("reconnecting with new credentials: %w", err))
			}
			return err
		})
	}
}

func (d *daemon) closeSinks(outputs []sink.Output) {
	if err := sink.Close(outputs); err != nil {
		d.log.Warn("sinks not closed cleanly", zap.Error(err))
	}
}

// prepare discovers the set, checks the privileges and builds the pipeline. It can be retried.
func (d *daemon) prepare(ctx context.Context, client *mongo.Client, outputs []sink.Output) (*pipeline.Pipeline, error) {
	view, err := d.discover(ctx, client)
	if err != nil {
		return nil, err
	}
	db, err := openSink(ctx, client, d.cfg)
	if err != nil {
		return nil, err
	}
	source, err := d.source(view.SetName)
	if err != nil {
		return nil, err
	}
	if err := d.checkPrivileges(ctx, db, source); err != nil {
		return nil, err
	}
	watch := schema.Scope{Own: store.Collections(d.cfg.Database)}
	p := pipeline.New(pipeline.Config{
		Seeds: d.seeds, ReadPreference: d.cfg.ReadPreference, Start: d.cfg.Start, LatencyTarget: d.cfg.LatencyTarget,
		Origin:   notification.Origin{Source: source, ReplicaSet: view.SetName},
		Detector: detector.New(watch), Watch: watch,
		Catalog: catalog.NewStore(db.Collection(store.Catalog), source),
		Routes:  routesOf(d.cfg, outputs), Queue: writesQueue(d.cfg),
		Own:         store.Collections(d.cfg.Database),
		Reconcile:   d.cfg.Reconcile,
		Checkpoints: checkpoint.NewStore(db.Collection(store.Checkpoints), source, d.cfg.Name),
		First:       checkpoint.Checkpoint{Source: source, Name: d.cfg.Name, ReplicaSet: view.SetName, Settings: settingsOf(d.cfg)},
		Database:    db,
		ExplainSink: func(ctx context.Context, err error) error { return d.explainSink(ctx, db, err) },

		TailCredentials: d.credentials.Use("mongodb"), SinkCredentials: d.credentials.Use("sink"),
		Metrics: d.metrics, Status: d.status, Log: d.log,
	})
	if d.actors = d.actorsOf(db, p); d.actors != nil {
		p.Actors = d.actors
	}
	if err := p.Prepare(ctx, view); err != nil {
		return nil, d.explainSink(ctx, db, err)
	}
	for host, reason := range view.Unreachable {
		d.log.Warn("a member cannot be read", zap.String("member", host), zap.Error(reason))
	}
	return p, nil
}

// discover finds the members to tail. If no member of the URI answers, it tries those that
// an earlier process recorded.
func (d *daemon) discover(ctx context.Context, client *mongo.Client) (replicaset.View, error) {
	view, err := replicaset.Discover(ctx, d.seeds)
	if err == nil {
		return view, nil
	}
	err = usererror.Tailed(err, d.seeds.PathIsAuthSource)
	if usererror.IsFinal(err) || len(d.seeds.Known.Hosts()) > 0 || sameHosts(d.cfg) {
		return view, err
	}
	db, sinkErr := store.Database(ctx, client, d.cfg.Database)
	if sinkErr == nil {
		sinkErr = restoreMembers(ctx, d.cfg, db, d.seeds.Known)
	}
	if sinkErr != nil || len(d.seeds.Known.Hosts()) == 0 {
		return view, errors.Join(err, sinkErr)
	}
	view, err = replicaset.Discover(ctx, d.seeds)
	return view, usererror.Tailed(err, d.seeds.PathIsAuthSource)
}

func (d *daemon) explainSink(ctx context.Context, db *mongo.Database, err error) error {
	var mistake *sink.ConfigurationError
	if errors.As(err, &mistake) {
		return &config.Error{Reason: mistake.Problem, Remedy: mistake.Remedy, Err: err}
	}
	return explainSink(ctx, db, d.cfg, use(d.cfg), err)
}

func (d *daemon) source(setName string) (string, error) {
	if d.cfg.Source != "" {
		return d.cfg.Source, nil
	}
	if !config.ValidSource(setName) {
		return "", &config.Error{Reason: fmt.Sprintf("the set's name %q cannot be part of an _id", setName),
			Remedy: "set DDLTAIL_SOURCE to 1 to 64 of A-Z a-z 0-9 . _ -"}
	}
	return setName, nil
}
