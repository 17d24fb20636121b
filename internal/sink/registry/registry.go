// Package registry lists ddltail's kinds of sinks.
package registry

import (
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/file"
	"github.com/ddltail/ddltail/internal/sink/kafka"
	"github.com/ddltail/ddltail/internal/sink/mongodb"
	"github.com/ddltail/ddltail/internal/sink/nats"
	"github.com/ddltail/ddltail/internal/sink/stdout"
)

// Kinds returns all kinds of sinks, in the order of the documentation.
func Kinds() sink.Registry {
	return sink.Registry{
		mongodb.QueueKind(),
		mongodb.HistoryKind(),
		stdout.Kind(),
		file.Kind(),
		kafka.Kind(),
		nats.Kind(),
	}
}
