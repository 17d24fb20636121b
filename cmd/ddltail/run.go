package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/pipeline"
	"github.com/ddltail/ddltail/internal/risk"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/web"
)

const (
	// startLimit is how long a command waits for servers that are starting.
	startLimit = time.Minute
	// historyLimit is the same for interactive commands.
	historyLimit = 5 * time.Second
	// defaultRunAddr is where `run` serves HTTP.
	defaultRunAddr = ":9797"
)

func runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Tail the oplog, write notifications, serve /metrics; until SIGINT or SIGTERM",
		Long:  "Tail the oplog, write notifications, serve /metrics; until SIGINT or SIGTERM.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reload := catchHangup()
			cfg, log, err := configure(cmd.Context(), startLimit)
			if err != nil {
				return err
			}
			if err := checkDeclared(cfg); err != nil {
				return err
			}
			return run(cmd.Context(), cfg, reload, log)
		},
	}
}

// run is one detector: HTTP and the pipeline, both until the context ends.
func run(ctx context.Context, cfg config.Config, reload *hangup, log *zap.Logger) error {
	socket, err := listenHTTP(ctx, cfg, defaultRunAddr)
	if err != nil {
		return err
	}
	registry := newRegistry()
	d := &daemon{cfg: cfg, log: log, status: &pipeline.Status{}, hangup: reload, seeds: seedsOf(cfg)}
	d.metrics = metrics.NewRun(registry, build(), labels(cfg), d.status.Ready)
	log.Info("ddltail", zap.String("version", orUnknown(build().Version)),
		zap.Stringer("mongodb", cfg.MongoDB), zap.Stringer("sink", cfg.Sink), zap.String("database", cfg.Database))

	return service{
		cfg: cfg, log: log, socket: socket, registry: registry, reload: reload,
		probes: web.Probes{Alive: d.status.Alive, Ready: d.status.Ready},
		page:   web.Page{Title: "ddltail run", Rows: d.rows},
	}.run(ctx, d.detect)
}

func labels(cfg config.Config) metrics.Labels {
	l := metrics.Labels{Sinks: []string{sink.Checkpoint, sink.Catalog, sink.HistoryName}}
	for _, op := range notification.Operations() {
		l.Operations = append(l.Operations, string(op))
	}
	for _, r := range risk.All() {
		l.Risks = append(l.Risks, string(r))
	}
	for _, reason := range oplog.Reasons() {
		l.Reasons = append(l.Reasons, string(reason))
	}
	for _, s := range cfg.Sinks {
		l.Sinks = append(l.Sinks, s.Name)
		if s.BestEffort {
			l.BestEffort = append(l.BestEffort, s.Name)
		}
	}
	return l
}
