package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/recovery"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/snapshot"
	"github.com/ddltail/ddltail/internal/usererror"
)

// publishComparison publishes a comparison that was recorded and not yet published: the gap,
// if history was lost, and each difference. Everything is derived from the record and the
// catalog, so that any process can publish it, any number of times. It reports whether there
// was one.
func (p *Pipeline) publishComparison(ctx context.Context) (bool, error) {
	var stored checkpoint.Checkpoint
	err := p.writer.retryUntilDone(ctx, sink.Checkpoint, func(ctx context.Context) (err error) {
		stored, _, err = p.Checkpoints.Load(ctx)
		return err
	})
	if err != nil || stored.Pending == nil {
		return false, err
	}
	if isForeign(stored, p.replicaSetID) {
		return false, foreignCheckpointError(stored)
	}
	p.enter(recovery.Publishing)
	c := *stored.Pending
	docs, err := p.inferred(ctx, c)
	if err != nil {
		return false, err
	}
	err = p.writer.write(ctx, docs, func(ctx context.Context, docs []notification.Document) ([]notification.Document, error) {
		return docs, p.checkStillPending(ctx, c)
	})
	if err != nil && !errors.Is(err, errStoredChanged) {
		return false, err
	}
	err = p.writer.retryUntilDone(ctx, sink.Checkpoint, func(ctx context.Context) error { return p.Checkpoints.Settle(ctx, c) })
	if err != nil {
		return false, err
	}
	if c.Gap {
		p.Metrics.Gaps.Inc()
		p.Log.Warn("history gap", zap.Stringer("from", c.From), zap.Stringer("to", c.To), zap.Int("differences", len(docs)-1))
	}
	return true, nil
}

// noteCompared notes a comparison of this process, of which the checkpoint as last loaded does not
// know.
func (p *Pipeline) noteCompared(at oplog.Moment) {
	p.compared, p.loaded = at.OpTime, loaded{}
}

// checkStillPending returns errStoredChanged if another process has published the comparison:
// the documents it wrote may have been processed and removed since.
func (p *Pipeline) checkStillPending(ctx context.Context, c checkpoint.Comparison) error {
	var stored checkpoint.Checkpoint
	err := p.writer.retryUntilDone(ctx, sink.Checkpoint, func(ctx context.Context) (err error) {
		stored, _, err = p.Checkpoints.Load(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if stored.Pending == nil || stored.Pending.To.OpTime != c.To.OpTime || stored.Pending.From.OpTime != c.From.OpTime {
		return errStoredChanged
	}
	return nil
}

// inferred returns the documents of a comparison.
func (p *Pipeline) inferred(ctx context.Context, c checkpoint.Comparison) ([]notification.Document, error) {
	before, err := p.Catalog.Load(ctx, c.Known.TS)
	if err != nil {
		return nil, err
	}
	if !c.Gap {
		if before, err = p.Catalog.LoadUnlisted(ctx, c.To.TS); err != nil {
			return nil, err
		}
	}
	now, err := p.Catalog.Load(ctx, positionOf(c).TS)
	if err != nil {
		return nil, err
	}
	between := notification.Interval{From: c.From, To: c.To}
	var docs []notification.Document
	if c.Gap {
		gap := notification.NewGap(between, p.origin(), time.Now())
		docs = append(docs, gap)
		p.Metrics.Count(gap.Change)
	}
	if c.Unknown {
		return docs, nil
	}
	for _, change := range p.Detector.Differences(before.All(), append(now.All(), undefined(c)...)) {
		docs = append(docs, notification.NewInferred(change, between, p.origin(), time.Now()))
		p.Metrics.Count(change)
	}
	return docs, nil
}

// reconcile takes a snapshot of the server's catalog when one is due and the reader is
// tailing, and compares once the position has passed the snapshot's optime.
func (p *Pipeline) reconcile(ctx context.Context, m oplog.Member, b oplog.Batch) error {
	switch {
	case p.listed != nil && !b.Scanned.Before(p.listed.At.TS):
		return p.compare(ctx)
	case p.listed != nil || !b.Tailing || p.nextCompareAt.IsZero() || time.Now().Before(p.nextCompareAt):
		return nil
	}
	listed, err := p.taker().Take(ctx, m)
	if privileges.IsUnauthorized(err) {
		p.warnListing("the catalog is not compared", err)
		p.nextCompareAt = nextComparison(p.Reconcile, time.Now())
		return nil
	}
	if err != nil {
		return usererror.Listing(err, p.Seeds.PathIsAuthSource)
	}
	p.listed = &listed
	return nil
}

// warnListing logs that ddltail continues without the privileges to list the catalog. Only a
// first run requires them.
func (p *Pipeline) warnListing(consequence string, err error) {
	p.Log.Warn("not authorized to list the catalog; "+consequence, zap.Error(usererror.Listing(err, p.Seeds.PathIsAuthSource)))
}

// isPastSnapshot reports whether an entry is later than the snapshot to be compared.
func (p *Pipeline) isPastSnapshot(at oplog.OpTime) bool {
	return p.listed != nil && at.TS.After(p.listed.At.TS)
}

// compare compares the catalog derived from the oplog with the snapshot of the same
// optime.
func (p *Pipeline) compare(ctx context.Context) error {
	listed := *p.listed
	p.listed, p.nextCompareAt = nil, nextComparison(p.Reconcile, time.Now())
	p.known.AdvanceTo(bson.Timestamp{T: listed.At.TS.T, I: listed.At.TS.I + 1})
	found := schema.NewUpdate(&p.known.Catalog, listed.Listed, listed.At)
	if err := p.unlisted.set(ctx, found.Unlisted, p.Checkpoints); err != nil {
		return err
	}
	if !p.confirmed(found.Versions) {
		p.nextCompareAt = time.Now()
		return nil
	}
	if len(found.Versions) == 0 {
		p.Log.Info("catalog matches the server's", zap.Stringer("at", listed.At))
		p.noteCompared(listed.At)
		return p.Checkpoints.SetCompared(ctx, listed.At)
	}
	err := p.withLease(ctx, oplog.OpTime{}, func(ctx context.Context) error { return p.recordSnapshot(ctx, listed) })
	if err != nil {
		return err
	}
	p.enter(recovery.Tailing)
	return nil
}

// confirmed reports whether the previous comparison found differences in the same namespaces.
// Under load 6.0.5 was observed to list a collection without an index whose entry was
// majority-committed, and with the index in the next listing.
func (p *Pipeline) confirmed(found []schema.Version) bool {
	before := p.differing
	p.differing = nil
	for _, v := range found {
		p.differing = append(p.differing, v.Namespace)
	}
	return !slices.ContainsFunc(p.differing, func(ns schema.Namespace) bool { return !slices.Contains(before, ns) })
}

// recordSnapshot compares again under the lease, since another process may have just
// done so, and publishes the differences.
func (p *Pipeline) recordSnapshot(ctx context.Context, listed snapshot.Snapshot) error {
	stored, err := p.stored(ctx)
	if err != nil {
		return err
	}
	from := stored.Compared
	if from.IsZero() {
		from = oplog.Moment{OpTime: stored.Baseline, Wall: stored.Baseline.Time()}
	}
	if !listed.At.TS.After(from.TS) {
		return p.reloadCatalog(ctx)
	}
	err = p.recordComparison(ctx, resumePoint{
		comparison: checkpoint.Comparison{From: from, To: listed.At, Listed: listed.At},
		state:      listed.Listed,
	}, oplog.OpTime{})
	if err != nil {
		return err
	}
	if _, err := p.publishComparison(ctx); err != nil {
		return err
	}
	p.noteCompared(listed.At)
	p.Log.Warn("catalog drift found; reporting the differences", zap.Stringer("at", listed.At))
	return p.reloadCatalog(ctx)
}

// reloadCatalog reads the stored catalog at the position.
func (p *Pipeline) reloadCatalog(ctx context.Context) error {
	var stored *schema.Catalog
	err := p.writer.retryUntilDone(ctx, sink.Catalog, func(ctx context.Context) (err error) {
		stored, err = p.Catalog.Load(ctx, p.catalogPosition())
		return err
	})
	if err != nil {
		return err
	}
	known := detector.NewState(*stored)
	if p.known != nil {
		known.KeepBuilds(p.known)
	}
	p.known, p.detected = known, false
	return nil
}

// nextComparison returns when the next snapshot is due; zero for never.
func nextComparison(r config.Reconcile, now time.Time) time.Time {
	if r.Every <= 0 {
		return time.Time{}
	}
	return now.Add(r.Every)
}
