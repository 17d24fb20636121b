package main

import (
	"os"
	"slices"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/pipeline"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/registry"
)

// openSinks opens the configured sinks.
func openSinks(cfg config.Config) ([]sink.Output, error) {
	outputs, err := registry.Kinds().Open(cfg.Sinks, cfg.SinkValues, sink.Resources{Stdout: os.Stdout})
	if err != nil {
		return nil, &config.Error{Reason: "DDLTAIL_SINKS", Remedy: err.Error()}
	}
	return outputs, nil
}

// routesOf returns the sinks with the filters that apply to them.
func routesOf(cfg config.Config, outputs []sink.Output) []pipeline.Route {
	filter := notification.NewFilter(cfg.Namespaces, cfg.ExcludeNamespaces, cfg.Operations)
	routes := make([]pipeline.Route, len(outputs))
	for i, o := range outputs {
		routes[i].Sink = o.Sink
		if o.Role != sink.Audit {
			routes[i].Filter = filter
		}
	}
	return routes
}

// fillsQueue reports whether one of the sinks is the notification queue.
func fillsQueue(outputs []sink.Output) bool {
	return slices.ContainsFunc(outputs, func(o sink.Output) bool { return o.Role == sink.Queue })
}

func settingsOf(cfg config.Config) checkpoint.Settings {
	w := checkpoint.Settings{Namespaces: cfg.Namespaces, ExcludeNamespaces: cfg.ExcludeNamespaces}
	for _, s := range cfg.Sinks {
		w.Sinks = append(w.Sinks, s.String())
	}
	for _, op := range cfg.Operations {
		w.Operations = append(w.Operations, string(op))
	}
	return w
}
