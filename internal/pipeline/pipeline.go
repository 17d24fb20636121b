// Package pipeline runs oplog entries through decoding and detection to the sinks, and
// then advances the checkpoint.
//
// One goroutine runs all stages: DDL is rare and its order matters. A checkpoint is never
// saved before every sink has acknowledged everything before it.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/attribution"
	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/recovery"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/snapshot"
	"github.com/ddltail/ddltail/internal/usererror"
)

const (
	// idleCheckpointInterval is how often the checkpoint advances while there are no changes.
	idleCheckpointInterval = 10 * time.Second
	// maxBackoff is the longest pause between two attempts.
	maxBackoff = 10 * time.Second
	// progressEvery is how often a catch-up logs its position.
	progressEvery = 5 * time.Second
	// maxDocuments bounds the documents of a batch between two checkpoints.
	maxDocuments = 500
	// maxBytes bounds their size in memory; a single document may be larger.
	maxBytes = 1 << 20
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

// Credentials learns how each use of a deployment's credentials ended. It may end the
// pipeline's context: other credentials were read, or they were refused for too long.
type Credentials interface {
	Failed(err error)
	Worked()
}

// Pipeline reports the schema changes of one replica set.
type Pipeline struct {
	Config
	state
	// indexes creates those of ddltail's own collections.
	indexes *ownindex.Builder
}

// New creates a pipeline. It does no I/O: Setup and Prepare do.
func New(cfg Config) *Pipeline {
	return &Pipeline{Config: cfg, indexes: ownindex.NewBuilder(cfg.Log)}
}

// Config is what a pipeline is given. All fields must be set but Actors.
type Config struct {
	Seeds          replicaset.Seeds
	ReadPreference readpref.Mode
	Start          config.Start
	Origin         notification.Origin
	Detector       detector.Detector
	Routes         []Route
	Actors         Actors
	Checkpoints    checkpoint.Store
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
	// ExplainSink names what is missing if the sink refuses a command for want of a
	// privilege; it returns every other error as it is.
	ExplainSink func(ctx context.Context, err error) error
	// TailCredentials are those of the set, SinkCredentials those of the sink.
	TailCredentials, SinkCredentials Credentials

	Metrics *metrics.Run
	Status  *Status
	Log     *zap.Logger
}

// state is what the pipeline learns and remembers between two reads. All of it can be
// derived from the stored checkpoint and catalog.
type state struct {
	// phase is what the pipeline does about its position.
	phase recovery.Machine
	// shard is that of the set, if it is part of a cluster.
	shard oplog.Shard
	known *detector.State
	// detected is true if known is ahead of what has been published.
	detected bool
	// position is the last published entry; if inclusive, that entry is still to be published.
	position  oplog.Moment
	inclusive bool
	// requestedStart and baseline bound the past that START asked for; requestedStart is zero
	// otherwise.
	requestedStart, baseline oplog.OpTime
	// checkpointLost is true if the stored checkpoint was lost and position is presumed.
	checkpointLost bool
	// replicaSetID is the id of the set that is read; zero if not known.
	replicaSetID bson.ObjectID
	// replicaSetReplaced is true if the checkpoint was written for another set.
	replicaSetReplaced bool
	// leaseHolder identifies this process in leases.
	leaseHolder string
	// chain is a transaction whose beginning the last member lacked.
	chain *oplog.ChainError
	// ownTaken is true if own collections were dropped or renamed and must be recreated.
	ownTaken bool
	// listed is a snapshot to be compared when the position has passed its optime;
	// compareAt is when the next one is due.
	listed    *snapshot.Snapshot
	compareAt time.Time
	// unlisted is what the server cannot list.
	unlisted unlisted
	// compared is the last comparison that known includes.
	compared oplog.OpTime
	// saved is the stored checkpoint, as far as this process knows.
	saved            oplog.OpTime
	savedAt          time.Time
	progressLoggedAt time.Time
	// observedAt is when the ends of the member's oplog were last read.
	observedAt time.Time
	// stalledHost is the member that stalled, to be tried last.
	stalledHost string
	// outsideSince is when a member outside the read preference was opened; zero if the member
	// is one of the preferred.
	outsideSince time.Time
	// savedMembers are the members that the checkpoint names.
	savedMembers []string
	// lostSince is when all members were first found without the position.
	lostSince time.Time
}

// Run tails until the context ends, then returns nil. It reopens the oplog after every
// error that waiting can resolve, and returns every other error.
func (p *Pipeline) Run(ctx context.Context) error {
	pause := retry.NewBackOff(maxBackoff)
	for {
		err := p.tail(ctx, pause.Reset)
		if ctx.Err() != nil {
			return nil
		}
		p.Metrics.Tailing.Set(0)
		if err == nil {
			// The position has changed: this process or another recovered from a gap.
			continue
		}
		p.Status.notTailing(err)
		p.TailCredentials.Failed(err)
		if usererror.IsFinal(err) && !replicaset.CredentialsRefused(err) {
			return err
		}
		errors.As(err, &p.chain)
		reason := oplog.ReasonOf(err)
		p.Metrics.Reopens.WithLabelValues(string(reason)).Inc()
		wait := pause.NextBackOff()
		p.Log.Warn("oplog read failed; reopening",
			zap.String("reason", string(reason)), zap.String("state", string(p.phase.State())), zap.Duration("in", wait), zap.Error(err))
		if !retry.Sleep(ctx, wait) {
			return nil
		}
	}
}

// BuildIndexes creates the indexes that own collections with documents lack, until the
// context ends.
func (p *Pipeline) BuildIndexes(ctx context.Context) error { return p.indexes.Run(ctx) }

// tail reads from one member until an error, or until the position was changed by a
// recovery. It calls healthy after every successful read.
func (p *Pipeline) tail(ctx context.Context, healthy func()) error {
	p.enter(recovery.Reloading)
	if err := p.reload(ctx); err != nil {
		return err
	}
	member, reader, err := p.open(ctx)
	var gone *recovery.LostError
	if errors.As(err, &gone) {
		return p.recoverGap(ctx, gone)
	}
	if err != nil {
		return err
	}
	defer member.close()
	defer reader.Close()
	p.unlisted.next = time.Time{} // the server may be another release now
	p.enter(recovery.Tailing)
	p.Log.Info("reading the oplog", zap.String("member", member.Host), zap.Stringer("from", p.position))
	for {
		batch, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		healthy()
		p.TailCredentials.Worked()
		p.recordProgress(batch)
		if err := p.observeMember(ctx, member.Member); err != nil {
			return err
		}
		if err := p.take(ctx, member.Member, batch); err != nil {
			return err
		}
		if err := p.retakeSnapshot(ctx, member.Member); err != nil {
			return err
		}
		if err := p.relist(ctx, member.Member, batch); err != nil {
			return err
		}
		if err := p.saveIdle(ctx, member.Member, batch.Scanned); err != nil {
			return err
		}
		if err := p.reconcile(ctx, member.Member, batch); err != nil {
			return err
		}
	}
}

// enter moves to a state.
func (p *Pipeline) enter(to recovery.State) {
	from := p.phase.State()
	if from == to && to == recovery.Tailing {
		return
	}
	if !p.phase.Enter(to) {
		p.Log.Error("unexpected state transition", zap.String("from", string(from)), zap.String("to", string(to)))
		return
	}
	p.Log.Debug("state", zap.String("from", string(from)), zap.String("to", string(to)))
}

// reload brings memory in line with what is stored: it completes a comparison that was
// interrupted and continues from there, and reloads the catalog if detection was ahead of
// the position.
func (p *Pipeline) reload(ctx context.Context) error {
	settled, err := p.completeComparison(ctx)
	if err != nil {
		return err
	}
	if settled {
		p.replicaSetReplaced = false
		stored, err := p.load(ctx)
		if err != nil {
			return err
		}
		return p.applyStored(ctx, stored)
	}
	if p.detected {
		return p.reloadCatalog(ctx)
	}
	return nil
}

// recordProgress updates metrics and status after a read.
func (p *Pipeline) recordProgress(b oplog.Batch) {
	p.Metrics.Entries.Add(float64(len(b.Entries)))
	p.Metrics.Position.Set(float64(b.Scanned.T))
	p.Status.read(b.Scanned, b.Tailing)
	if b.Tailing {
		p.Metrics.Tailing.Set(1)
		return
	}
	p.Metrics.Tailing.Set(0)
	if time.Since(p.progressLoggedAt) > progressEvery {
		p.progressLoggedAt = time.Now()
		at := oplog.OpTime{TS: b.Scanned}
		p.Log.Info("catching up", zap.Time("position", at.Time()),
			zap.Duration("behind", b.Head.Time().Sub(at.Time())))
	}
}

// batch is what must be written before the position may advance to upTo.
type batch struct {
	docs     []notification.Document
	versions []schema.Version
	// subjects are what the documents are about, if their actors are wanted.
	subjects []attribution.Subject
	upTo     oplog.Moment
	// bytes is the approximate size of the documents.
	bytes int
}

func (o batch) size() int { return len(o.docs) + len(o.versions) }

// full reports whether the batch must be written: it is held in memory.
func (o batch) full() bool { return o.size() >= maxDocuments || o.bytes >= maxBytes }

func (o *batch) add(d notification.Document) {
	o.docs = append(o.docs, d)
	o.bytes += d.Size()
}

// take publishes the changes of the entries read. Changes detected before an error are
// published before it is returned.
func (p *Pipeline) take(ctx context.Context, m oplog.Member, b oplog.Batch) error {
	var o batch
	for unit, err := range b.Units(ctx) {
		if o.full() || p.isPastSnapshot(unit.OpTime) {
			if err := p.publish(ctx, o); err != nil {
				return err
			}
			o = batch{}
		}
		if p.isPastSnapshot(unit.OpTime) {
			if err := p.compare(ctx); err != nil {
				return err
			}
		}
		if err := p.addUnit(unit, err, &o); err != nil {
			return errors.Join(err, p.publish(ctx, o))
		}
	}
	return p.publish(ctx, o)
}

// setPosition advances the position in memory. An entry that could not be decoded may have
// no optime.
func (p *Pipeline) setPosition(at oplog.Moment) {
	if at.TS.Before(p.position.TS) || at.IsZero() {
		return
	}
	p.position, p.inclusive = at, false
	if p.chain != nil && !at.TS.Before(p.chain.End.TS) {
		p.chain = nil
	}
}

// addUnit adds a unit, or what could be read of it, to the batch.
func (p *Pipeline) addUnit(unit oplog.Unit, readErr error, o *batch) error {
	var malformed *oplog.DecodeError
	err := p.ignoreTruncatedTransaction(readErr)
	switch {
	case errors.As(err, &malformed):
		p.reportMalformed(unit, err, o)
	case err != nil:
		return err
	default:
		p.detect(unit, o)
	}
	return nil
}

// reportMalformed adds an entry that could not be decoded; it may have no optime.
func (p *Pipeline) reportMalformed(unit oplog.Unit, err error, o *batch) {
	p.Metrics.Malformed.Inc()
	p.Log.Error("oplog entry cannot be decoded", zap.Error(err))
	if !unit.OpTime.IsZero() {
		o.add(p.document(detector.Malformed(unit.Operations[0])))
		o.upTo = oplog.Moment{OpTime: unit.OpTime, Wall: unit.Wall}
	}
}

// detect adds the changes and versions of one unit to the batch.
func (p *Pipeline) detect(unit oplog.Unit, o *batch) {
	p.known.AdvanceTo(unit.OpTime.TS)
	result := p.Detector.Detect(unit, p.known)
	p.known.Apply(result)
	p.unlisted.touch(p.Detector.AffectedNamespaces(unit))
	p.detected = true
	p.Metrics.BuildsRunning.Set(float64(p.known.BuildsInProgress()))
	var ids []string
	for _, c := range result.Changes {
		d := p.document(c)
		ids = append(ids, d.ID)
		o.add(d)
		p.noteOwnTaken(c)
	}
	if p.Actors != nil {
		subject := p.Actors.Subject(unit)
		if subject.IDs = ids; len(ids) > 0 {
			o.subjects = append(o.subjects, subject)
		}
	}
	for _, v := range result.Versions {
		o.versions = append(o.versions, v.Clone())
	}
	o.upTo = oplog.Moment{OpTime: unit.OpTime, Wall: unit.Wall}
}

// ignoreTruncatedTransaction drops a transaction that began before the start position of a
// first run: START asked for what the oplog holds.
func (p *Pipeline) ignoreTruncatedTransaction(err error) error {
	var chain *oplog.ChainError
	if !errors.As(err, &chain) || p.requestedStart.IsZero() || chain.Missing.After(p.requestedStart) {
		return err
	}
	p.Log.Warn("transaction began before the oldest entry; skipping it", zap.Error(err))
	return nil
}

func (p *Pipeline) document(c notification.Change) notification.Document {
	p.Metrics.Count(c)
	if c.Operation == notification.UnknownCommand {
		p.Metrics.Unknown.Inc()
		p.Log.Warn("unknown command in the oplog", zap.String("statement", c.Statement),
			zap.Stringer("optime", c.OpTime))
	}
	return notification.NewDocument(c, p.origin(), time.Now())
}

// origin returns where changes come from, the shard as the last member had it.
func (p *Pipeline) origin() notification.Origin {
	origin := p.Origin
	origin.Shard = p.shard
	return origin
}

// saveIdle advances the checkpoint while there are no changes. An entry written by ddltail
// itself does not count: saving at it would write the next one.
func (p *Pipeline) saveIdle(ctx context.Context, m oplog.Member, scanned bson.Timestamp) error {
	if time.Since(p.savedAt) < idleCheckpointInterval || !scanned.After(p.saved.TS) {
		return nil
	}
	at, ok, err := m.At(ctx, scanned)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("save the position: no entry at %d:%d on %s", scanned.T, scanned.I, m.Host)
	}
	if slices.Contains(p.Own, at.NS) {
		return nil
	}
	moment := oplog.Moment{OpTime: at.OpTime, Wall: at.Wall}
	if err := p.save(ctx, moment); err != nil {
		return err
	}
	p.setPosition(moment)
	return nil
}
