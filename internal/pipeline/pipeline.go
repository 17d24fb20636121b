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

	"github.com/cenkalti/backoff/v5"
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
	"github.com/ddltail/ddltail/internal/sink"
)

const (
	// quietSave is how often the checkpoint moves while there is nothing to tell.
	quietSave = 10 * time.Second
	// progressEvery is how often a catch-up says where it is.
	progressEvery = 5 * time.Second
	// maxDocuments is how many documents go to the sinks between two checkpoints.
	maxDocuments = 500
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
	// Queue says that one of the routes is the notification queue.
	Queue bool
	// Queued is the queue's collection, to be counted.
	Queued *mongo.Collection
	// Own are ddltail's own collections, as full namespaces.
	Own     []string
	Metrics *metrics.Run
	Status  *Status
	Log     *zap.Logger

	known *detector.Catalog
	// position is the last entry taken; inclusive says that it has not been yet.
	position  oplog.OpTime
	inclusive bool
	// saved is the stored checkpoint, as far as this process knows.
	saved   oplog.OpTime
	savedAt time.Time
	spokeAt time.Time
	// observedAt is when the ends of the member's oplog were last read.
	observedAt time.Time
	// lostSince is when all members were first found without the position.
	lostSince time.Time
}

// Run tails until the context ends, which is no error. It opens the oplog again
// after every failure that waiting can mend; what it returns cannot be mended.
func (p *Pipeline) Run(ctx context.Context) error {
	pause := newBackOff()
	for {
		err := p.tail(ctx, pause.Reset)
		if ctx.Err() != nil {
			return nil
		}
		p.Status.stopped(err)
		p.Metrics.Tailing.Set(0)
		if errors.Is(err, ErrPositionLost) || isConfiguration(err) {
			return err
		}
		reason := oplog.ReasonOf(err)
		p.Metrics.Reopens.WithLabelValues(string(reason)).Inc()
		wait := pause.NextBackOff()
		p.Log.Warn("the oplog has to be opened again",
			zap.String("reason", string(reason)), zap.Duration("in", wait), zap.Error(err))
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// tail reads from one member until something fails. It calls healthy after every
// read that worked.
func (p *Pipeline) tail(ctx context.Context, healthy func()) error {
	member, reader, err := p.open(ctx)
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
		if err := p.saveQuietly(ctx, member.Member, batch.Scanned); err != nil {
			return err
		}
	}
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

// outcome is what is to be written before the position may move.
type outcome struct {
	docs     []sink.Document
	versions []detector.Version
}

func (o outcome) size() int { return len(o.docs) + len(o.versions) }

// take tells what the entries of one batch changed.
func (p *Pipeline) take(ctx context.Context, m oplog.Member, b oplog.Batch) error {
	var o outcome
	for _, raw := range b.Entries {
		if o.size() >= maxDocuments {
			if err := p.tell(ctx, o, p.position); err != nil {
				return err
			}
			o = outcome{}
		}
		optime, err := p.detect(ctx, m, raw, &o)
		if err != nil {
			return err
		}
		p.reached(optime)
	}
	if o.size() == 0 {
		return nil
	}
	return p.tell(ctx, o, p.position)
}

// reached moves the position in memory. What could not be decoded may have no
// optime.
func (p *Pipeline) reached(optime oplog.OpTime) {
	if !optime.TS.Before(p.position.TS) {
		p.position, p.inclusive = optime, false
	}
}

// detect adds what one raw entry did to the outcome, and gives its optime.
func (p *Pipeline) detect(ctx context.Context, m oplog.Member, raw bson.Raw, o *outcome) (oplog.OpTime, error) {
	e, err := oplog.Decode(raw)
	if err != nil {
		p.Metrics.Malformed.Inc()
		p.Log.Error("an oplog entry cannot be decoded", zap.Error(err))
		if !e.OpTime.IsZero() {
			o.docs = append(o.docs, p.document(detector.Malformed(e)))
		}
		return e.OpTime, nil
	}
	unit, err := oplog.Assemble(ctx, e, m)
	if err != nil {
		return oplog.OpTime{}, err
	}
	p.known.AdvanceTo(unit.OpTime.TS)
	result := p.Detector.Detect(unit, p.known)
	p.known.Apply(result)
	p.Metrics.BuildsRunning.Set(float64(p.known.BuildsInProgress()))
	for _, c := range result.Changes {
		o.docs = append(o.docs, p.document(c))
	}
	for _, v := range result.Versions {
		o.versions = append(o.versions, v.Clone())
	}
	return e.OpTime, nil
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
	p.reached(at.OpTime)
	return p.save(ctx, at.OpTime)
}

func newBackOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 100 * time.Millisecond
	b.MaxInterval = 10 * time.Second
	b.Multiplier = 2
	return b
}

// sleep waits, and says whether the context still stands.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
