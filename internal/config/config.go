// Package config reads and checks ddltail's configuration.
package config

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
)

// Config is the checked configuration of one ddltail.
type Config struct {
	MongoDB  URI
	Sink     URI
	Database string
	// DatabaseNamed is true if DATABASE or a URI's path named it; otherwise it is the default.
	DatabaseNamed bool
	// Source is empty if the replica set's name is used.
	Source            string
	Name              string
	ReadPreference    readpref.Mode
	Namespaces        []string
	ExcludeNamespaces []string
	Operations        []string
	// Filter combines Namespaces, ExcludeNamespaces and Operations.
	Filter    notification.Filter
	Start     Start
	Reconcile Reconcile
	Sinks     []sink.Spec
	// SinkValues are the variables of the kinds of sinks.
	SinkValues sink.Values
	// HistoryTTL is the age at which history is removed; 0 is never.
	HistoryTTL time.Duration
	Actor      Actor
	// Declared is the path of a declared schema; empty for none.
	Declared    string
	DriftSettle time.Duration
	// LatencyTarget is how much later a change may be read to reduce the server's load; 0 is none.
	LatencyTarget time.Duration
	// HTTPAddr is empty if the command's default is used.
	HTTPAddr      string
	WebConfigFile string
	// PProf serves Go's profiles at HTTPAddr.
	PProf bool
	// ProbeAddr serves only the probes, without TLS and authentication; empty for none.
	ProbeAddr     string
	BackendURL    string
	ReceiversFile string
	WebhookSecret string
	CleanupAfter  time.Duration
	PollInterval  time.Duration
	Log           Log
	// UnknownOptions are names of options in the URIs that the driver ignores.
	UnknownOptions []string
	// Unknown are variables with ddltail's prefix that ddltail does not read.
	Unknown []string
}

// Start is where a first run begins; the zero value is now.
type Start struct {
	Oldest bool
	// At is the time to start at, or zero.
	At time.Time
}

// Reconcile is when catalogs are compared; the zero value is only after a gap.
type Reconcile struct {
	AtStart bool
	Every   time.Duration
}

// Log configures logging. An empty Format means console on a terminal, else JSON.
type Log struct {
	Level  string
	Format string
}
