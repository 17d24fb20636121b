package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/pipeline"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/systemd"
	"github.com/ddltail/ddltail/internal/web"
)

const (
	// startLimit is how long a command waits for servers that may yet come.
	startLimit = time.Minute
	// historyLimit is the same for a person who waits for an answer.
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

// run is one detector: HTTP beside the pipeline, both until the context ends.
func run(ctx context.Context, cfg config.Config, reload *hangup, log *zap.Logger) error {
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
	d := &daemon{cfg: cfg, log: log, status: &pipeline.Status{}, hangup: reload, seeds: seedsOf(cfg)}
	d.metrics = metrics.NewRun(registry, build(), labels(cfg), d.status.Ready)
	log.Info("ddltail", zap.String("version", orUnknown(build().Version)),
		zap.Stringer("mongodb", cfg.MongoDB), zap.Stringer("sink", cfg.Sink), zap.String("database", cfg.Database))

	probes := web.Probes{Alive: d.status.Alive, Ready: d.status.Ready}
	handler := web.Handler(registry, probes,
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
	group.Go(func() error { return serveProbes(ctx, cfg.ProbeAddr, probes, log) })
	group.Go(func() error { return reload.run(ctx) })
	group.Go(func() error { systemd.Report(ctx, systemd.Service(probes), log); return nil })
	err = group.Wait()
	if err == nil || errors.Is(err, context.Canceled) {
		log.Info("stopped")
		return nil
	}
	return err
}

// serveProbes serves the probes alone on an address of their own, if there is one.
func serveProbes(ctx context.Context, addr string, probes web.Probes, log *zap.Logger) error {
	if addr == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("DDLTAIL_PROBE_ADDR: %w", err)
	}
	return web.ServeProbes(ctx, listener, probes, log)
}

func labels(cfg config.Config) metrics.Labels {
	l := metrics.Labels{Sinks: []string{"checkpoint", "catalog", sink.HistoryName}}
	for _, op := range notification.Operations() {
		l.Operations = append(l.Operations, string(op))
	}
	for _, r := range notification.Risks() {
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
