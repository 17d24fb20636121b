package main

import (
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/pipeline"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/besteffort"
	"github.com/ddltail/ddltail/internal/sink/registry"
)

// openSinks opens the configured sinks. Those that must not delay the checkpoint write from
// a queue in memory.
func openSinks(cfg config.Config, report sink.Report) ([]sink.Output, error) {
	outputs, err := registry.Kinds().Open(cfg.Sinks, cfg.SinkValues, sink.Resources{Stdout: os.Stdout, Report: report})
	if err != nil {
		return nil, &config.Error{Reason: "DDLTAIL_SINKS", Remedy: err.Error(), Err: err}
	}
	for i, o := range outputs {
		if o.BestEffort {
			outputs[i].Sink = besteffort.New(o.Sink, report)
		}
	}
	return outputs, nil
}

// reopenFiles reopens rotated files.
func reopenFiles(outputs []sink.Output, log *zap.Logger) {
	for _, o := range outputs {
		s, ok := o.Sink.(sink.Reopener)
		if !ok {
			continue
		}
		if err := s.Reopen(); err != nil {
			log.Warn("sink not reopened; retrying with the next write", zap.String("sink", o.Name()), zap.Error(err))
		}
	}
}

// brokerDelaysHistory reports whether queue or history share a checkpoint with an external
// service, which can be unavailable for longer than the oplog reaches back.
func brokerDelaysHistory(outputs []sink.Output) bool {
	return slices.ContainsFunc(outputs, func(o sink.Output) bool { return o.Role != sink.Copy }) &&
		slices.ContainsFunc(outputs, func(o sink.Output) bool { return o.External && !o.BestEffort })
}

// routesOf returns the sinks with the filters that apply to them.
func routesOf(cfg config.Config, outputs []sink.Output) []pipeline.Route {
	routes := make([]pipeline.Route, len(outputs))
	for i, o := range outputs {
		routes[i].Sink, routes[i].Stored = o.Sink, o.Role != sink.Copy
		if o.Role != sink.Audit {
			routes[i].Filter = cfg.Filter
		}
	}
	return routes
}

// writesQueue reports whether one of the sinks is the notification queue.
func writesQueue(cfg config.Config) bool { return registry.Kinds().FillQueue(cfg.Sinks) }

// writesHistory reports whether one of the sinks is the history.
func writesHistory(cfg config.Config) bool { return registry.Kinds().WriteHistory(cfg.Sinks) }

func settingsOf(cfg config.Config) checkpoint.Settings {
	w := checkpoint.Settings{Namespaces: cfg.Namespaces, ExcludeNamespaces: cfg.ExcludeNamespaces, Operations: cfg.Operations}
	for _, s := range cfg.Sinks {
		w.Sinks = append(w.Sinks, s.String())
	}
	return w
}

// sinkReport logs and counts what sinks do not return as an error.
type sinkReport struct {
	log     *zap.Logger
	metrics *metrics.Run
}

// Refused implements sink.Report.
func (r sinkReport) Refused(name, id string, err error) {
	r.metrics.SinkErrors.WithLabelValues(name).Inc()
	r.log.Error("document rejected because of its content; wrote only its first fields",
		zap.String("sink", name), zap.String("_id", id), zap.Error(err))
}

// Failed implements sink.Report.
func (r sinkReport) Failed(name string, err error, retryIn time.Duration) {
	r.metrics.SinkErrors.WithLabelValues(name).Inc()
	r.log.Warn("sink write failed; retrying, the checkpoint does not wait for it",
		zap.String("sink", name), zap.Duration("again_in", retryIn), zap.Error(err))
}

// Dropped implements sink.Report.
func (r sinkReport) Dropped(name string, documents int, reason string) {
	r.metrics.SinkDropped.WithLabelValues(name).Add(float64(documents))
	r.log.Error("documents dropped", zap.String("sink", name), zap.Int("documents", documents), zap.String("reason", reason))
}
