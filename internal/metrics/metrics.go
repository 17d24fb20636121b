// Package metrics holds the Prometheus metrics of run and listen. Labels are from
// closed sets, never a namespace.
package metrics

import (
	"math"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ddltail/ddltail/internal/notification"
)

// Build identifies the program.
type Build struct {
	Version, Commit string
}

// Run are the metrics of the detector.
type Run struct {
	Changes       *prometheus.CounterVec
	ChangesByRisk *prometheus.CounterVec
	Entries       prometheus.Counter
	Unknown       prometheus.Counter
	Malformed     prometheus.Counter
	Checkpoint    prometheus.Gauge
	Position      prometheus.Gauge
	Head          prometheus.Gauge
	Oldest        prometheus.Gauge
	Headroom      *Headroom
	Latency       prometheus.Histogram
	SinkErrors    *prometheus.CounterVec
	SinkDropped   *prometheus.CounterVec
	Reopens       *prometheus.CounterVec
	Gaps          prometheus.Counter
	BuildsRunning prometheus.Gauge
	Unprocessed   prometheus.Gauge
	Tailing       prometheus.Gauge
	Unlisted      prometheus.Gauge
	// Drift is registered only if a schema is declared.
	Drift       *prometheus.GaugeVec
	Actors      *prometheus.CounterVec
	ActorWait   prometheus.Histogram
	LinesMissed prometheus.Counter
	// PrivilegesMissing is NaN until the privileges have been read.
	PrivilegesMissing prometheus.Gauge
	RetentionErrors   prometheus.Counter

	infoGauge
	certificates *prometheus.GaugeVec
}

// Closed sets of label values; each series exists from the start, at zero, so
// that a rate over it is right from the first event on.
type Labels struct {
	Operations, Risks, Sinks, Reasons []string
	// BestEffort are the sinks that can drop documents.
	BestEffort []string
}

// NewRun registers the detector's metrics. ready is the probe of /readyz.
func NewRun(reg prometheus.Registerer, build Build, labels Labels, ready func() error) *Run {
	f := promauto.With(reg)
	registerBuild(f, build)
	newReady(f, ready)
	m := &Run{
		infoGauge: newInfo(f),
		Changes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ddltail_changes_total",
			Help: "Schema changes detected, before any filter.",
		}, []string{"operation"}),
		ChangesByRisk: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ddltail_changes_by_risk_total",
			Help: "Schema changes detected, before any filter, by risk: destructive, breaking, routine or unknown.",
		}, []string{"risk"}),
		Entries: f.NewCounter(prometheus.CounterOpts{
			Name: "ddltail_oplog_entries_total",
			Help: "Oplog entries received from the server, after its filter.",
		}),
		Unknown: f.NewCounter(prometheus.CounterOpts{
			Name: "ddltail_unknown_commands_total",
			Help: "Oplog entries with a command that this version does not know.",
		}),
		Malformed: f.NewCounter(prometheus.CounterOpts{
			Name: "ddltail_malformed_entries_total",
			Help: "Oplog entries that could not be decoded.",
		}),
		Checkpoint: gauge(f, "ddltail_checkpoint_timestamp_seconds", "Oplog time of the stored checkpoint."),
		Position:   gauge(f, "ddltail_oplog_position_timestamp_seconds", "Oplog time up to which the oplog has been read."),
		Head:       gauge(f, "ddltail_oplog_head_timestamp_seconds", "Oplog time of the newest majority-committed entry on the member read from."),
		Oldest:     gauge(f, "ddltail_oplog_oldest_timestamp_seconds", "Oplog time of the oldest entry on the member read from."),
		Headroom:   newHeadroom(reg),
		Latency: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "ddltail_notification_latency_seconds",
			Help:    "Time from a change's wall clock on the primary until every sink has acknowledged its document.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600, 3600},
		}),
		Reopens: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ddltail_cursor_reopens_total",
			Help: "How often the oplog cursor was reopened, by reason.",
		}, []string{"reason"}),
		Gaps: f.NewCounter(prometheus.CounterOpts{
			Name: "ddltail_history_gaps_total",
			Help: "Gaps: oplog entries truncated before they were read.",
		}),
		BuildsRunning: gauge(f, "ddltail_index_builds_in_progress", "Index builds whose start this process has read, but not their end yet."),
		Unprocessed:   gauge(f, "ddltail_notifications_unprocessed", "Notifications in the queue that are not processed yet."),
		Tailing:       gauge(f, "ddltail_tailing", "1 while the oplog is read at its head, else 0."),
		Drift: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ddltail_drift",
			Help: "Objects that differ from DDLTAIL_DECLARED, by kind; NaN while the declaration cannot be read. Absent without a declaration.",
		}, []string{"kind"}),
		Unlisted:     gauge(f, "ddltail_unlisted_namespaces", "Namespaces that the server cannot list, all views of a database counted as one; nothing is inferred for them."),
		certificates: newCertificates(f),
	}
	m.sinks(f)
	m.actors(f)
	m.rights(f)
	m.start(labels)
	return m
}

// sinks registers the metrics of writes to sinks.
func (m *Run) sinks(f promauto.Factory) {
	m.SinkErrors = f.NewCounterVec(prometheus.CounterOpts{
		Name: "ddltail_sink_errors_total",
		Help: "Failed attempts to write to a sink, which are retried. Documents rejected because of their content are counted too.",
	}, []string{"sink"})
	m.SinkDropped = f.NewCounterVec(prometheus.CounterOpts{
		Name: "ddltail_sink_dropped_total",
		Help: "Documents that a sink with required=false did not write: its queue was full, or the process ended.",
	}, []string{"sink"})
}

// actors registers the metrics of the search for actors.
func (m *Run) actors(f promauto.Factory) {
	m.Actors = f.NewCounterVec(prometheus.CounterOpts{
		Name: "ddltail_actors_total",
		Help: "Notifications by the evidence of their actor (log, lsid, or none) and whether it is exact; counted only if ACTOR is set, when the actor is found or the search ends.",
	}, []string{"evidence", "exact"})
	m.ActorWait = f.NewHistogram(prometheus.HistogramOpts{
		Name:    "ddltail_actor_wait_seconds",
		Help:    "How long a batch waited for the actors of its changes before it was written.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .2, .3, .5, 1, 5},
	})
	m.LinesMissed = f.NewCounter(prometheus.CounterOpts{
		Name: "ddltail_actor_log_lines_missed_total",
		Help: "Lines of a member's log that were overwritten before getLog read them; a truncated file counts as one.",
	})
}

// rights registers the metrics that depend on the user's privileges.
func (m *Run) rights(f promauto.Factory) {
	m.PrivilegesMissing = gauge(f, "ddltail_privileges_missing",
		"Rows of the table in privileges.md that the user lacks, optional ones not counted; NaN until the privileges have been read.")
	m.PrivilegesMissing.Set(math.NaN())
	m.RetentionErrors = f.NewCounter(prometheus.CounterOpts{
		Name: "ddltail_retention_errors_total",
		Help: "Failed attempts to remove old history, which are retried after a minute.",
	})
}

// Count counts a change.
func (m *Run) Count(c notification.Change) {
	m.Changes.WithLabelValues(string(c.Operation)).Inc()
	m.ChangesByRisk.WithLabelValues(string(c.Risk())).Inc()
}

func (m *Run) start(labels Labels) {
	for _, op := range labels.Operations {
		m.Changes.WithLabelValues(op)
	}
	for _, r := range labels.Risks {
		m.ChangesByRisk.WithLabelValues(r)
	}
	for _, s := range labels.Sinks {
		m.SinkErrors.WithLabelValues(s)
	}
	for _, s := range labels.BestEffort {
		m.SinkDropped.WithLabelValues(s)
	}
	for _, r := range labels.Reasons {
		m.Reopens.WithLabelValues(r)
	}
}

func gauge(f promauto.Factory, name, help string) prometheus.Gauge {
	return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func registerBuild(f promauto.Factory, build Build) {
	f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ddltail_build_info",
		Help: "Version, commit and Go release of this program; always 1.",
	}, []string{"version", "commit", "goversion"}).
		WithLabelValues(build.Version, build.Commit, runtime.Version()).Set(1)
}
