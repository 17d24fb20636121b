// Package pipeline takes oplog entries the whole way: from the reader through
// decoding and detection to the sinks, and only then moves the checkpoint.
//
// One goroutine does it all. DDL is rare and its order matters; a checkpoint is
// never saved before every sink has taken what lies before it.
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

	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/sink"
)

const (
	// quietSave is how often the checkpoint moves while there is nothing to tell.
	quietSave = 10 * time.Second
	// longestWait is the longest pause between two attempts.
	longestWait = 10 * time.Second
	// progressEvery is how often a catch-up says where it is.
	progressEvery = 5 * time.Second
	// maxDocuments is how many documents go to the sinks between two checkpoints.
	maxDocuments = 500
	// maxBytes bounds what they take in memory; a single one may be larger.
	maxBytes = 1 << 20
)

// Sink is where documents go. Write must be safe to repeat, and return only when
// the documents are there to stay.
type Sink interface {
	Name() string
	Write(ctx context.Context, docs []sink.Document) error
}

// Route is a sink with the filter before it.
type Route struct {
	Sink   Sink
	Filter sink.Filter
}

// Pipeline tells the schema changes of one replica set. All fields but the
// unexported ones are to be set.
type Pipeline struct {
	Seeds          replicaset.Seeds
	ReadPreference readpref.Mode
	Start          config.Start
	Origin         sink.Origin
	Detector       detector.Detector
	Routes         []Route
	Checkpoints    checkpoint.Store
	// Catalog keeps the versions of definitions; Watch says which are followed.
	Catalog catalog.Store
	Watch   detector.Watch
	// First is the checkpoint of a first run, less its position.
	First checkpoint.Checkpoint
	// Reconcile says when the known catalog is compared with the server's.
	Reconcile config.Reconcile
	// Queue says that one of the routes is the notification queue.
	Queue bool
	// Database holds ddltail's own collections.
	Database *mongo.Database
	// Own are ddltail's own collections, as full namespaces.
	Own     []string
	Metrics *metrics.Run
	Status  *Status
	Log     *zap.Logger

	known *detector.Catalog
	// detected says that known is ahead of what has been told.
	detected bool
	// position is the last entry told; inclusive says that it has not been yet.
	position  oplog.Moment
	inclusive bool
	// began and baseline bound the past that a first run was asked for, if it was.
	began, baseline oplog.OpTime
	// lost says that the stored checkpoint was, and what it said is only presumed.
	lost bool
	// set is the id of the replica set that is read from; zero where it is not known.
	set bson.ObjectID
	// anew says that the set is another one than the last time: all its history is.
	anew bool
	// holder names this process in leases.
	holder string
	// chain is a transaction whose beginning the last member did not hold.
	chain *oplog.ChainError
	// ownDropped says that collections of ddltail's own were dropped, and are to be
	// made again.
	ownDropped bool
	// listed is the server's catalog, to be compared when the position has passed its
	// moment; compareAt is when the next one is taken.
	listed    *catalog.Listed
	compareAt time.Time
	// compared is the last comparison that known takes into account.
	compared oplog.OpTime
	// saved is the stored checkpoint, as far as this process knows.
	saved   oplog.OpTime
	savedAt time.Time
	spokeAt time.Time
	// observedAt is when the ends of the member's oplog were last read.
	observedAt time.Time
	// overtakenHost is the member that stood still, to be asked last.
	overtakenHost string
	// lostSince is when all members were first found without the position.
	lostSince time.Time
}

// Run tails until the context ends, which is no error. It opens the oplog again
// after every failure that waiting can mend; what it returns cannot be mended.
func (p *Pipeline) Run(ctx context.Context) error {
	pause := retry.NewBackOff(longestWait)
	for {
		err := p.tail(ctx, pause.Reset)
		if ctx.Err() != nil {
			return nil
		}
		p.Metrics.Tailing.Set(0)
		if err == nil {
			// The position has changed: a gap was bridged, by this process or another.
			continue
		}
		p.Status.stopped(err)
		if isConfiguration(err) {
			return err
		}
		errors.As(err, &p.chain)
		reason := oplog.ReasonOf(err)
		p.Metrics.Reopens.WithLabelValues(string(reason)).Inc()
		wait := pause.NextBackOff()
		p.Log.Warn("the oplog has to be opened again",
			zap.String("reason", string(reason)), zap.Duration("in", wait), zap.Error(err))
		if !retry.Sleep(ctx, wait) {
			return nil
		}
	}
}

// tail reads from one member until something fails, or until the position is another.
// It calls healthy after every read that worked.
func (p *Pipeline) tail(ctx context.Context, healthy func()) error {
	if err := p.recall(ctx); err != nil {
		return err
	}
	member, reader, err := p.open(ctx)
	var gone *lostError
	if errors.As(err, &gone) {
		return p.bridge(ctx, gone)
	}
	if err != nil {
		return err
	}
	defer member.close()
	defer reader.Close()
	p.Log.Info("reading the oplog", zap.String("member", member.Host), zap.Stringer("from", p.position))
	for {
		batch, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		healthy()
		p.note(batch)
		if err := p.observeMember(ctx, member.Member); err != nil {
			return err
		}
		if err := p.take(ctx, member.Member, batch); err != nil {
			return err
		}
		if err := p.listAgain(ctx, member.Member); err != nil {
			return err
		}
		if err := p.saveQuietly(ctx, member.Member, batch.Scanned); err != nil {
			return err
		}
		if err := p.reconcile(ctx, member.Member, batch); err != nil {
			return err
		}
	}
}

// recall brings memory back to what is stored: it tells a comparison that was cut
// short and goes on from there, and takes the catalog of the position where detection
// had gone ahead of it.
func (p *Pipeline) recall(ctx context.Context) error {
	settled, err := p.settlePending(ctx)
	if err != nil {
		return err
	}
	if settled {
		p.anew = false
		stored, err := p.load(ctx)
		if err != nil {
			return err
		}
		return p.adopt(ctx, stored)
	}
	if p.detected {
		return p.adoptCatalog(ctx)
	}
	return nil
}

// note keeps metrics and status in step with what was read.
func (p *Pipeline) note(b oplog.Batch) {
	p.Metrics.Entries.Add(float64(len(b.Entries)))
	p.Metrics.Position.Set(float64(b.Scanned.T))
	p.Status.read(b.Scanned, b.Tailing)
	if b.Tailing {
		p.Metrics.Tailing.Set(1)
		return
	}
	p.Metrics.Tailing.Set(0)
	if time.Since(p.spokeAt) > progressEvery {
		p.spokeAt = time.Now()
		at := oplog.OpTime{TS: b.Scanned}
		p.Log.Info("catching up", zap.Time("position", at.Time()),
			zap.Duration("behind", b.Head.Time().Sub(at.Time())))
	}
}

// outcome is what is to be written before the position may move to upTo.
type outcome struct {
	docs     []sink.Document
	versions []detector.Version
	upTo     oplog.Moment
	// bytes is about what the documents take.
	bytes int
}

func (o outcome) size() int { return len(o.docs) + len(o.versions) }

// full says whether it is time to write: what waits is held in memory.
func (o outcome) full() bool { return o.size() >= maxDocuments || o.bytes >= maxBytes }

func (o *outcome) add(d sink.Document) {
	o.docs = append(o.docs, d)
	o.bytes += d.Size()
}

// take tells what the entries of one batch changed. What was detected before a failure
// is told before it is returned.
func (p *Pipeline) take(ctx context.Context, m oplog.Member, b oplog.Batch) error {
	var o outcome
	for _, raw := range b.Entries {
		if o.full() || p.passes(raw) {
			if err := p.tell(ctx, o); err != nil {
				return err
			}
			o = outcome{}
		}
		if p.passes(raw) {
			if err := p.compare(ctx); err != nil {
				return err
			}
		}
		if err := p.detect(ctx, m, raw, &o); err != nil {
			return errors.Join(err, p.tell(ctx, o))
		}
	}
	return p.tell(ctx, o)
}

// reached moves the position in memory. What could not be decoded may have no
// optime.
func (p *Pipeline) reached(at oplog.Moment) {
	if at.TS.Before(p.position.TS) || at.IsZero() {
		return
	}
	p.position, p.inclusive = at, false
	if p.chain != nil && !at.TS.Before(p.chain.End.TS) {
		p.chain = nil
	}
}

// detect adds what one raw entry did to the outcome.
func (p *Pipeline) detect(ctx context.Context, m oplog.Member, raw bson.Raw, o *outcome) error {
	e, err := oplog.Decode(raw)
	if err != nil {
		p.Metrics.Malformed.Inc()
		p.Log.Error("an oplog entry cannot be decoded", zap.Error(err))
		if !e.OpTime.IsZero() {
			o.add(p.document(detector.Malformed(e)))
			o.upTo = oplog.Moment{OpTime: e.OpTime, Wall: e.OpTime.Time()}
		}
		return nil
	}
	unit, err := oplog.Assemble(ctx, e, m)
	if err = p.excuse(err); err != nil {
		return err
	}
	p.known.AdvanceTo(e.OpTime.TS)
	result := p.Detector.Detect(unit, p.known)
	p.known.Apply(result)
	p.detected = true
	p.Metrics.BuildsRunning.Set(float64(p.known.BuildsInProgress()))
	for _, c := range result.Changes {
		o.add(p.document(c))
		p.noteOwn(c)
	}
	for _, v := range result.Versions {
		o.versions = append(o.versions, v.Clone())
	}
	o.upTo = oplog.Moment{OpTime: e.OpTime, Wall: e.Wall}
	return nil
}

// excuse lets a transaction go whose beginning was cut off where a first run was asked
// to begin: it asked for what there is.
func (p *Pipeline) excuse(err error) error {
	var chain *oplog.ChainError
	if !errors.As(err, &chain) || p.began.IsZero() || chain.Missing.After(p.began) {
		return err
	}
	p.Log.Warn("a transaction began before the oldest entry", zap.Error(err))
	return nil
}

func (p *Pipeline) document(c detector.Change) sink.Document {
	p.Metrics.Changes.WithLabelValues(string(c.Operation)).Inc()
	if c.Operation == detector.UnknownCommand {
		p.Metrics.Unknown.Inc()
		p.Log.Warn("a command of the oplog is not known", zap.String("statement", c.Statement),
			zap.Stringer("optime", c.OpTime))
	}
	return sink.NewDocument(c, p.Origin, time.Now())
}

// saveQuietly moves the checkpoint while there is nothing to tell. An entry of
// ddltail's own at the position does not count: it would make the next one.
func (p *Pipeline) saveQuietly(ctx context.Context, m oplog.Member, scanned bson.Timestamp) error {
	if time.Since(p.savedAt) < quietSave || !scanned.After(p.saved.TS) {
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
	p.reached(moment)
	return nil
}
