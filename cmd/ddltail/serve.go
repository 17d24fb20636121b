package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/systemd"
	"github.com/ddltail/ddltail/internal/web"
)

// memoryShare is the part of the cgroup's limit that Go's heap may use.
const memoryShare = 0.9

// service serves HTTP while `run` or `listen` works.
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
	s.probes.Alive, s.probes.Ready = shortProbe(s.probes.Alive), shortProbe(s.probes.Ready)
	limitMemory(s.log)
	group, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	group.Go(func() error {
		defer cancel()
		return web.Serve(ctx, s.socket, s.handler(), s.cfg.WebConfigFile, s.log)
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

func (s service) handler() http.Handler {
	h := web.Handler(s.registry, s.probes, s.page)
	if s.cfg.PProf {
		return web.WithProfiles(h)
	}
	return h
}

// heapGrowth is how much the heap of a daemon grows, in percent, before the garbage collector runs. In a burst of 10,000 changes
// the peak of resident memory is 38 MB with 50, and 43 MB with Go's default of 100.
const heapGrowth = 50

// limitMemory sets Go's memory limit from that of the cgroup, so that the garbage collector
// runs more often before the process exceeds it. GOMEMLIMIT and GOGC have precedence.
func limitMemory(log *zap.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare))
	switch {
	case err != nil:
		log.Debug("no memory limit taken from a cgroup", zap.Error(err))
	case limit < math.MaxInt64:
		log.Info("memory limit", zap.Int64("bytes", limit))
	}
}

// listenHTTP opens the socket of DDLTAIL_HTTP_ADDR, or of the default address.
func listenHTTP(ctx context.Context, cfg config.Config, defaultAddr string) (net.Listener, error) {
	addr := cfg.HTTPAddr
	if addr == "" {
		addr = defaultAddr
	}
	socket, err := web.Listen(ctx, addr)
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
