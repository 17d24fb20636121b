package pipeline

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/attribution"
	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/members"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/sink"
)

// Route is a sink with its filter.
type Route struct {
	// Stored is true for a collection in ddltail's own database.
	Stored bool
	Sink   sink.Sink
	Filter notification.Filter
}

// Actors finds out who made changes.
type Actors interface {
	// Subject is called for every committed unit, in order.
	Subject(unit oplog.Unit) attribution.Subject
	// Find returns the actors of notifications, by _id. It waits for a bounded time.
	Find(ctx context.Context, subjects []attribution.Subject) map[string]actor.Actor
}

// Credentials receives the result of each use of a deployment's credentials. It may cancel the
// pipeline's context: because new credentials were read, or because they were refused for too
// long.
type Credentials interface {
	Failed(err error)
	Worked()
}

// Pipeline reports the schema changes of one replica set.
type Pipeline struct {
	Config
	state
	members *members.Chooser
	writer  writer
	// indexes creates the indexes of ddltail's own collections.
	indexes *ownindex.Builder
}

// New creates a pipeline. It does no I/O: Setup and Prepare do.
func New(cfg Config) *Pipeline {
	return &Pipeline{
		Config: cfg,
		state:  state{unlisted: unlisted{metrics: cfg.Metrics, log: cfg.Log}},
		members: &members.Chooser{
			Seeds: cfg.Seeds, ReadPreference: cfg.ReadPreference, LatencyTarget: cfg.LatencyTarget, Log: cfg.Log,
		},
		writer: writer{
			routes: cfg.Routes, credentials: cfg.SinkCredentials, explain: cfg.ExplainSink,
			metrics: cfg.Metrics, status: cfg.Status, log: cfg.Log,
		},
		indexes: ownindex.NewBuilder(cfg.Log),
	}
}

// Config configures a pipeline. All fields except Actors must be set.
type Config struct {
	Seeds          replicaset.Seeds
	ReadPreference readpref.Mode
	Start          config.Start
	// LatencyTarget is passed to oplog.Start.
	LatencyTarget time.Duration
	Origin        notification.Origin
	Detector      detector.Detector
	Routes        []Route
	Actors        Actors
	Checkpoints   checkpoint.Store
	// Catalog stores the versions of definitions; Watch decides which namespaces are included.
	Catalog catalog.Store
	Watch   schema.Scope
	// First is the checkpoint of a first run without its position.
	First checkpoint.Checkpoint
	// Reconcile is when the known catalog is compared with the server's.
	Reconcile config.Reconcile
	// Queue is true if one of the routes is the notification queue.
	Queue bool
	// Database holds ddltail's own collections.
	Database *mongo.Database
	// Own are ddltail's own collections, as full namespaces.
	Own []string
	// ExplainSink adds the missing privileges to the error of an unauthorized command on the
	// sink; it returns every other error unchanged.
	ExplainSink func(ctx context.Context, err error) error
	// TailCredentials are for the tailed set, SinkCredentials for the sink.
	TailCredentials, SinkCredentials Credentials

	Metrics *metrics.Run
	Status  *Status
	Log     *zap.Logger
}
