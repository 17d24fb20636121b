package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/pipeline"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/web"
)

const (
	// startLimit is how long a command waits for servers that may yet come.
	startLimit = time.Minute
	// defaultRunAddr is where `run` serves HTTP.
	defaultRunAddr = ":9797"
)

func runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Tail the oplog, write notifications, serve /metrics; until SIGINT or SIGTERM",
		Long:  "Tail the oplog, write notifications, serve /metrics; until SIGINT or SIGTERM.\n\nEnvironment:\n" + usage(),
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(time.Now())
			if err != nil {
				return err
			}
			log, err := newLogger(cfg.Log)
			if err != nil {
				return err
			}
			return run(cmd.Context(), cfg, log)
		},
	}
}

func usage() string {
	text := ""
	for _, v := range config.Variables() {
		text += fmt.Sprintf("  %s (%s)\n        %s\n", v.Name, v.Default, v.Description)
	}
	return text
}

// run is one detector: HTTP beside the pipeline, both until the context ends.
func run(ctx context.Context, cfg config.Config, log *zap.Logger) error {
	addr := cfg.HTTPAddr
	if addr == "" {
		addr = defaultRunAddr
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("DDLTAIL_HTTP_ADDR: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d := &daemon{cfg: cfg, log: log, metrics: metrics.NewRun(registry, build(), labels(cfg)), status: &pipeline.Status{}}
	log.Info("ddltail", zap.String("version", orUnknown(build().Version)),
		zap.Stringer("mongodb", cfg.MongoDB), zap.Stringer("sink", cfg.Sink), zap.String("database", cfg.Database))

	handler := web.Handler(registry, web.Probes{Alive: d.status.Alive, Ready: d.status.Ready},
		web.Page{Title: "ddltail run", Rows: d.rows})
	group, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	group.Go(func() error {
		defer cancel()
		return web.Serve(ctx, listener, handler, cfg.WebConfigFile, log)
	})
	group.Go(func() error {
		defer cancel()
		return d.detect(ctx)
	})
	err = group.Wait()
	if err == nil || errors.Is(err, context.Canceled) {
		log.Info("stopped")
		return nil
	}
	return err
}

func labels(cfg config.Config) metrics.Labels {
	l := metrics.Labels{Sinks: []string{"checkpoint"}}
	for _, op := range detector.Operations() {
		l.Operations = append(l.Operations, string(op))
	}
	for _, reason := range oplog.Reasons() {
		l.Reasons = append(l.Reasons, string(reason))
	}
	for _, s := range cfg.Sinks {
		l.Sinks = append(l.Sinks, string(s.Kind))
	}
	return l
}

// daemon is what `run` does beside serving HTTP.
type daemon struct {
	cfg     config.Config
	log     *zap.Logger
	metrics *metrics.Run
	status  *pipeline.Status
}

func (d *daemon) rows() []web.Row {
	ready := "yes"
	if d.status.Ready() != nil {
		ready = "no"
	}
	at := oplog.OpTime{TS: d.status.Position()}
	return []web.Row{
		{Name: "version", Value: orUnknown(build().Version)},
		{Name: "tailing", Value: ready},
		{Name: "oplog position", Value: at.Time().Format(time.RFC3339)},
	}
}

// detect connects, finds where to begin, and runs the pipeline.
func (d *daemon) detect(ctx context.Context) error {
	routes, closeRoutes, err := d.files()
	if err != nil {
		return err
	}
	defer closeRoutes()
	client, err := sink.Connect(d.cfg.Sink.Options())
	if err != nil {
		return err
	}
	defer disconnect(client)
	var p *pipeline.Pipeline
	err = pipeline.Await(ctx, d.log, startLimit, func(ctx context.Context) error {
		p, err = d.prepare(ctx, client, routes)
		return err
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.Run(ctx) })
	group.Go(func() error { return p.Observe(ctx) })
	return group.Wait()
}

// prepare does once what must work before tailing can begin. It is safe to repeat.
func (d *daemon) prepare(ctx context.Context, client *mongo.Client, files []pipeline.Route) (*pipeline.Pipeline, error) {
	seeds := replicaset.Seeds{
		Hosts: d.cfg.MongoDB.Hosts(), Options: d.cfg.MongoDB.Options(),
		Direct: d.cfg.MongoDB.Direct(), PathIsAuthSource: d.cfg.MongoDB.PathIsAuthSource(),
	}
	view, err := replicaset.Discover(ctx, seeds)
	if err != nil {
		return nil, pipeline.Explain(err, seeds.PathIsAuthSource)
	}
	db, err := sink.Database(ctx, client, d.cfg.Database)
	if err != nil {
		return nil, d.explainSink(err)
	}
	source, err := d.source(view.SetName)
	if err != nil {
		return nil, err
	}
	routes, queue := d.routes(db, files)
	p := &pipeline.Pipeline{
		Seeds: seeds, ReadPreference: d.cfg.ReadPreference, Start: d.cfg.Start,
		Origin:   sink.Origin{Source: source, ReplicaSet: view.SetName},
		Detector: detector.New(detector.Watch{Own: sink.Collections(d.cfg.Database)}),
		Routes:   routes, Queue: queue, Own: sink.Collections(d.cfg.Database),
		Checkpoints: checkpoint.NewStore(db.Collection(sink.Checkpoints), source, d.cfg.Name),
		First:       checkpoint.Checkpoint{Source: source, Name: d.cfg.Name, ReplicaSet: view.SetName, Wiring: d.wiring()},
		Queued:      db.Collection(sink.Notifications),
		Metrics:     d.metrics, Status: d.status, Log: d.log,
	}
	if err := p.Checkpoints.Setup(ctx); err != nil {
		return nil, d.explainSink(err)
	}
	if err := p.Prepare(ctx, view); err != nil {
		return nil, d.explainSink(err)
	}
	if queue {
		if err := sink.Setup(ctx, db); err != nil {
			return nil, d.explainSink(err)
		}
	}
	for host, reason := range view.Unreachable {
		d.log.Warn("a member cannot be asked", zap.String("member", host), zap.Error(reason))
	}
	return p, nil
}

func (d *daemon) explainSink(err error) error {
	return pipeline.ExplainSink(err, d.cfg.Database, d.cfg.Sink.PathIsAuthSource())
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

// files opens the sinks that are no collections, and gives a function to close them.
func (d *daemon) files() ([]pipeline.Route, func(), error) {
	var routes []pipeline.Route
	var open []*sink.File
	closeAll := func() {
		for _, f := range open {
			if err := f.Close(); err != nil {
				d.log.Warn("closing a sink file", zap.Error(err))
			}
		}
	}
	for _, spec := range d.cfg.Sinks {
		switch spec.Kind {
		case config.SinkStdout:
			routes = append(routes, pipeline.Route{Sink: sink.Stream{Output: os.Stdout}, Filter: d.filter()})
		case config.SinkFile:
			f, err := sink.OpenFile(spec.Path)
			if err != nil {
				closeAll()
				return nil, nil, &config.Error{Reason: "DDLTAIL_SINKS", Remedy: err.Error()}
			}
			open = append(open, f)
			routes = append(routes, pipeline.Route{Sink: f, Filter: d.filter()})
		}
	}
	return routes, closeAll, nil
}

// routes puts the sinks in the order in which they are written: history, queue,
// the others. It says whether the queue is one of them.
func (d *daemon) routes(db *mongo.Database, files []pipeline.Route) ([]pipeline.Route, bool) {
	var history, queue bool
	for _, spec := range d.cfg.Sinks {
		queue = queue || spec.Kind == config.SinkMongoDB
		history = history || queue || spec.Kind == config.SinkHistory
	}
	var routes []pipeline.Route
	if history {
		routes = append(routes, pipeline.Route{Sink: sink.NewHistory(db)})
	}
	if queue {
		routes = append(routes, pipeline.Route{Sink: sink.NewQueue(db), Filter: d.filter()})
	}
	return append(routes, files...), queue
}

func (d *daemon) filter() sink.Filter {
	return sink.NewFilter(d.cfg.Namespaces, d.cfg.ExcludeNamespaces, d.cfg.Operations)
}

func (d *daemon) wiring() checkpoint.Wiring {
	w := checkpoint.Wiring{Namespaces: d.cfg.Namespaces, ExcludeNamespaces: d.cfg.ExcludeNamespaces}
	for _, s := range d.cfg.Sinks {
		w.Sinks = append(w.Sinks, s.String())
	}
	for _, op := range d.cfg.Operations {
		w.Operations = append(w.Operations, string(op))
	}
	return w
}
