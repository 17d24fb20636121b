package pipeline

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/attribution"
	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

const (
	// maxDocuments bounds the documents of a batch between two checkpoints.
	maxDocuments = 500
	// maxBytes bounds their size in memory; a single document may be larger.
	maxBytes = 1 << 20
)

// batch is what must be written before the position may advance to upTo.
type batch struct {
	docs     []notification.Document
	versions []schema.Version
	// subjects identify the documents' changes for the search for actors, if enabled.
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

// publishBatch publishes the changes in a batch of entries. Changes detected before an error are
// published before it is returned.
func (p *Pipeline) publishBatch(ctx context.Context, m oplog.Member, b oplog.Batch) error {
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
		p.noteOwnRemoved(c)
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
// first run: START begins at the oldest entry.
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

// origin returns the origin of changes, with the shard that the last member reported.
func (p *Pipeline) origin() notification.Origin {
	origin := p.Origin
	origin.Shard = p.shard
	return origin
}
