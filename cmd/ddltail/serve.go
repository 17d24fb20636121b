package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/systemd"
	"github.com/ddltail/ddltail/internal/web"
)

// service is what `run` and `listen` have in common: HTTP in addition to the work.
type service struct {
	cfg      config.Config
	log      *zap.Logger
	socket   net.Listener
	registry *prometheus.Registry
	probes   web.Probes
	page     web.Page
	reload   *hangup
}

// run serves HTTP and works until the context ends, or until either of them fails.
func (s service) run(ctx context.Context, work func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	group.Go(func() error {
		defer cancel()
		return web.Serve(ctx, s.socket, web.Handler(s.registry, s.probes, s.page), s.cfg.WebConfigFile, s.log)
	})
	group.Go(func() error {
		defer cancel()
		return work(ctx)
	})
	group.Go(func() error { return serveProbes(ctx, s.cfg.ProbeAddr, s.probes, s.log) })
	group.Go(func() error { return s.reload.run(ctx) })
	group.Go(func() error { systemd.Report(ctx, systemd.Service(s.probes), s.log); return nil })
	err := group.Wait()
	if err == nil || errors.Is(err, context.Canceled) {
		s.log.Info("stopped")
		return nil
	}
	return err
}

// listenHTTP opens the socket of DDLTAIL_HTTP_ADDR, or of the default address.
func listenHTTP(ctx context.Context, cfg config.Config, defaultAddr string) (net.Listener, error) {
	addr := cfg.HTTPAddr
	if addr == "" {
		addr = defaultAddr
	}
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("DDLTAIL_HTTP_ADDR: %w", err)
	}
	return socket, nil
}

// serveProbes serves only the probes, on a separate address, if there is one.
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

// newRegistry returns a registry with the metrics of process and Go runtime.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
