package main

import (
	"os"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/pipeline"
	"github.com/ddltail/ddltail/internal/sink"
)

// openFiles opens the sinks that are no collections, and gives a function to close them.
func openFiles(cfg config.Config, log *zap.Logger) ([]pipeline.Route, func(), error) {
	var routes []pipeline.Route
	var open []*sink.File
	closeAll := func() {
		for _, f := range open {
			if err := f.Close(); err != nil {
				log.Warn("closing a sink file", zap.Error(err))
			}
		}
	}
	for _, spec := range cfg.Sinks {
		switch spec.Kind {
		case config.SinkStdout:
			routes = append(routes, pipeline.Route{Sink: sink.Stream{Output: os.Stdout}, Filter: filterOf(cfg)})
		case config.SinkFile:
			f, err := sink.OpenFile(spec.Path)
			if err != nil {
				closeAll()
				return nil, nil, &config.Error{Reason: "DDLTAIL_SINKS", Remedy: err.Error()}
			}
			open = append(open, f)
			routes = append(routes, pipeline.Route{Sink: f, Filter: filterOf(cfg)})
		}
	}
	return routes, closeAll, nil
}

// reopener is a sink whose file may be rotated.
type reopener interface{ Reopen() error }

// reopenFiles opens rotated files anew.
func reopenFiles(routes []pipeline.Route, log *zap.Logger) {
	for _, route := range routes {
		s, ok := route.Sink.(reopener)
		if !ok {
			continue
		}
		if err := s.Reopen(); err != nil {
			log.Warn("the sink cannot be reopened; retrying with the next write", zap.String("sink", route.Sink.Name()), zap.Error(err))
		}
	}
}

// routesOf puts the sinks in the order in which they are written: history, queue,
// the others. It says whether the queue is one of them.
func routesOf(cfg config.Config, db *mongo.Database, files []pipeline.Route) ([]pipeline.Route, bool) {
	var history, queue bool
	for _, spec := range cfg.Sinks {
		queue = queue || spec.Kind == config.SinkMongoDB
		history = history || queue || spec.Kind == config.SinkHistory
	}
	var routes []pipeline.Route
	if history {
		routes = append(routes, pipeline.Route{Sink: sink.NewHistory(db)})
	}
	if queue {
		routes = append(routes, pipeline.Route{Sink: sink.NewQueue(db), Filter: filterOf(cfg)})
	}
	return append(routes, files...), queue
}

// writesQueue reports whether one of the sinks is the queue.
func writesQueue(cfg config.Config) bool {
	return slices.ContainsFunc(cfg.Sinks, func(s config.SinkSpec) bool { return s.Kind == config.SinkMongoDB })
}

// writesHistory reports whether one of the sinks writes the history.
func writesHistory(cfg config.Config) bool {
	return writesQueue(cfg) || slices.ContainsFunc(cfg.Sinks, func(s config.SinkSpec) bool { return s.Kind == config.SinkHistory })
}

// resolving has collections ask what becomes of a document whose _id is taken.
func resolving(routes []pipeline.Route, onConflict func(*sink.ConflictError) error) []pipeline.Route {
	for i := range routes {
		if coll, ok := routes[i].Sink.(sink.Collection); ok {
			coll.OnConflict = onConflict
			routes[i].Sink = coll
		}
	}
	return routes
}

func filterOf(cfg config.Config) notification.Filter { return cfg.Filter }

func settingsOf(cfg config.Config) checkpoint.Settings {
	w := checkpoint.Settings{Namespaces: cfg.Namespaces, ExcludeNamespaces: cfg.ExcludeNamespaces, Operations: cfg.Operations}
	for _, s := range cfg.Sinks {
		w.Sinks = append(w.Sinks, s.String())
	}
	return w
}
