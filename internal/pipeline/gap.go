package pipeline

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/recovery"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/snapshot"
	"github.com/ddltail/ddltail/internal/usererror"
)

// leaseRetry is the pause before a process retries to get a lease that another one holds.
const leaseRetry = time.Second

// recoverGap recovers from lost history: it reads the catalog at the resume point and records
// it next to the known one. publishComparison publishes the differences, in this process or
// in another one.
func (p *Pipeline) recoverGap(ctx context.Context, gone *recovery.LostError) error {
	p.enter(recovery.Lost)
	stored, err := p.load(ctx)
	if err != nil || stored.Pending != nil {
		return err
	}
	switch {
	case p.position.After(stored.Position.OpTime):
		// Entries without changes advance the stored position only every idleCheckpointInterval.
		return p.save(ctx, p.position)
	case stored.Position.OpTime != p.position.OpTime || stored.Inclusive != p.inclusive:
		p.Log.Info("another ddltail moved the position", zap.Stringer("position", stored.Position))
		return p.applyStored(ctx, stored)
	}
	p.Status.notTailing(gone)
	p.Log.Warn("history is lost; comparing the catalogs before and after", zap.Error(gone))
	return p.withLease(ctx, p.position.OpTime, func(ctx context.Context) error {
		found, err := p.findResumePoint(ctx, gone)
		if err != nil {
			return err
		}
		return p.recordComparison(ctx, found, p.position.OpTime)
	})
}

// withLease runs work that only one process may do at a time, and renews the lease until it
// returns. If another process holds the lease it waits for leaseRetry and does nothing.
func (p *Pipeline) withLease(ctx context.Context, at oplog.OpTime, work func(context.Context) error) error {
	have, err := p.Checkpoints.Lease(ctx, at, p.leaseHolder)
	if err != nil {
		return err
	}
	if !have {
		p.Log.Info("another ddltail holds the comparison lease; waiting")
		retry.Sleep(ctx, leaseRetry)
		return nil
	}
	p.enter(recovery.Comparing)
	ctx, cancel := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		for retry.Sleep(ctx, checkpoint.LeaseRenewal) {
			// If the lease is lost, Record does not match and reports it.
			_, _ = p.Checkpoints.Lease(ctx, at, p.leaseHolder)
		}
	}()
	defer func() {
		cancel()
		<-kept
	}()
	return work(ctx)
}

// resumePoint is where reading resumes after a gap, with the catalog at that position.
type resumePoint struct {
	comparison checkpoint.Comparison
	state      schema.Listed
}

// findResumePoint takes a snapshot of a member's catalog and reverts it to the oldest entry
// that the oplog still holds.
func (p *Pipeline) findResumePoint(ctx context.Context, gone *recovery.LostError) (resumePoint, error) {
	m, err := p.members.LongestOplog(ctx, gone)
	if err != nil {
		return resumePoint{}, err
	}
	defer m.Close()
	p.replicaSetID = p.replicaSetIDOf(ctx, m.Member)
	listed, err := p.taker().Take(ctx, m.Member)
	if privileges.IsUnauthorized(err) {
		p.warnListing("the gap is reported without differences", err)
		return p.resumeUnlisted(ctx, m.Member, gone.Cause)
	}
	if err != nil {
		return resumePoint{}, usererror.Listing(err, p.Seeds.PathIsAuthSource)
	}
	held, err := p.held(ctx, m.Member, gone.Cause, listed.At)
	if err != nil {
		return resumePoint{}, err
	}
	resume, err := recovery.ResumePoint(gone.Cause, held)
	if err != nil {
		return resumePoint{}, err
	}
	to, inclusive := resume.At, resume.Inclusive
	before := p.knownPosition()
	known, err := p.Catalog.Load(ctx, before.TS)
	if err != nil {
		return resumePoint{}, err
	}
	state, err := p.taker().Rewound(ctx, m.Member, snapshot.Span{
		From: oplog.Start{Position: to.OpTime, Inclusive: inclusive}, To: listed, LastKnown: known,
	})
	if err != nil {
		return resumePoint{}, err
	}
	newest, err := p.Catalog.Newest(ctx)
	return resumePoint{
		comparison: checkpoint.Comparison{
			From: p.position, To: to, Gap: true, Known: before, Inclusive: inclusive, Listed: listed.At,
			Unknown: newest.IsZero() && p.baseline.IsZero(),
		},
		state: state,
	}, err
}

// resumeUnlisted returns the resume point if the server's catalog may not be listed: the known
// catalog is kept, without differences.
func (p *Pipeline) resumeUnlisted(ctx context.Context, m oplog.Member, cause recovery.Cause) (resumePoint, error) {
	head, err := m.Head(ctx)
	if err != nil {
		return resumePoint{}, err
	}
	at := oplog.Moment{OpTime: head, Wall: head.Time()}
	held, err := p.held(ctx, m, cause, at)
	if err != nil {
		return resumePoint{}, err
	}
	resume, err := recovery.ResumePoint(cause, held)
	if err != nil {
		return resumePoint{}, err
	}
	return resumePoint{
		comparison: checkpoint.Comparison{
			From: p.position, To: resume.At, Gap: true, Known: p.knownPosition(), Inclusive: resume.Inclusive, Listed: at, Unknown: true,
		},
		// A listing that covers no part of the catalog.
		state: schema.Listed{Of: []schema.Selection{}},
	}, nil
}

// knownPosition returns the position at which the known catalog is valid. The snapshot of a
// first run is slightly later than its start position.
func (p *Pipeline) knownPosition() oplog.OpTime {
	at := oplog.OpTime{TS: p.catalogPosition()}
	if p.baseline.TS.After(at.TS) {
		return p.baseline
	}
	return at
}

// held reads the entries of the member's oplog around the gap.
func (p *Pipeline) held(ctx context.Context, m oplog.Member, cause recovery.Cause, listed oplog.Moment) (recovery.Held, error) {
	h := recovery.Held{Position: p.position, Inclusive: p.inclusive, Listed: listed}
	var err error
	switch cause {
	case recovery.BrokenTransaction:
		h.ChainEnd, err = positionAt(ctx, m, p.chain.End.TS)
	case recovery.CheckpointLost:
		h.AtPosition, err = positionAt(ctx, m, p.position.TS)
	}
	if err != nil {
		return h, err
	}
	oldest, err := m.Oldest(ctx)
	h.Oldest = oplog.Moment{OpTime: oldest.OpTime, Wall: oldest.Wall}
	return h, err
}

// positionAt returns the position of the entry at a timestamp; zero if there is none.
func positionAt(ctx context.Context, m oplog.Member, ts bson.Timestamp) (oplog.Moment, error) {
	at, ok, err := m.At(ctx, ts)
	if err != nil || !ok {
		return oplog.Moment{}, err
	}
	return oplog.Moment{OpTime: at.OpTime, Wall: at.Wall}, nil
}

// recordComparison saves the catalog of the resume point, then records the comparison.
func (p *Pipeline) recordComparison(ctx context.Context, found resumePoint, at oplog.OpTime) error {
	c := found.comparison
	stamp := positionOf(c)
	there, err := p.Catalog.Load(ctx, stamp.TS)
	if err != nil {
		return err
	}
	d := schema.NewUpdate(there, found.state, stamp)
	for _, v := range d.Undefined {
		c.Undefined = append(c.Undefined, checkpoint.Undefined{
			Database: v.Namespace.Database, Collection: v.Namespace.Collection,
			Kind: string(v.Definition.Kind), UUID: v.Definition.UUID.Binary(),
		})
	}
	c.Unlisted = storedUnlisted(d.Unlisted)
	if err := p.Catalog.SaveListed(ctx, d.Versions); err != nil {
		return err
	}
	counts, err := p.Checkpoints.Record(ctx, at, p.leaseHolder, c, p.replicaSetID)
	if err != nil {
		return err
	}
	if !counts {
		p.Log.Info("another ddltail recorded the comparison first")
	}
	return nil
}

// positionOf returns the optime of a comparison's versions in the catalog: just below To if
// the entry at To is still to be published.
func positionOf(c checkpoint.Comparison) oplog.Moment {
	at := c.To
	if c.Inclusive {
		at.OpTime = at.Before()
	}
	return at
}

// applyStored continues from the stored checkpoint.
func (p *Pipeline) applyStored(ctx context.Context, stored checkpoint.Checkpoint) error {
	p.position, p.inclusive = stored.Position, stored.Inclusive
	p.checkpointLost, p.replicaSetReplaced = stored.Lost, stored.Replaced
	p.requestedStart, p.baseline, p.compared = stored.Began, stored.Baseline, stored.Compared.OpTime
	p.chain, p.listed = nil, nil
	p.unlisted.apply(unlistedOf(stored.Unlisted))
	p.recordSaved(stored.Position.OpTime)
	return p.reloadCatalog(ctx)
}

// replicaSetIDOf returns the id of the member's replica set; zero if it cannot be read.
func (p *Pipeline) replicaSetIDOf(ctx context.Context, m oplog.Member) bson.ObjectID {
	id, err := m.ReplicaSetID(ctx)
	if err != nil {
		p.Log.Debug("replica set id cannot be read", zap.Error(err))
	}
	return id
}

// undefined returns versions without a definition for namespaces of which only the name is known.
func undefined(c checkpoint.Comparison) []schema.Version {
	out := make([]schema.Version, len(c.Undefined))
	for i, u := range c.Undefined {
		def := schema.Definition{Kind: schema.Kind(u.Kind)}
		if len(u.UUID.Data) == len(def.UUID) {
			def.UUID = oplog.UUID(u.UUID.Data)
		}
		out[i] = schema.Version{Namespace: schema.Namespace{Database: u.Database, Collection: u.Collection}, Definition: &def}
	}
	return out
}
