package pipeline

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/snapshot"
	"github.com/ddltail/ddltail/internal/usererror"
)

// Prepare loads the stored checkpoint, or decides where a first run starts and stores that
// before it writes anything else. Then it creates ddltail's missing collections, before the
// snapshot is written to one of them. It is idempotent.
func (p *Pipeline) Prepare(ctx context.Context, view replicaset.View) error {
	m, err := p.members.Connect(ctx, view)
	if err != nil {
		return err
	}
	defer m.Close()
	p.leaseHolder = bson.NewObjectID().Hex()
	p.replicaSetID = p.replicaSetIDOf(ctx, m.Member)
	first := start{Config: p.Config, indexes: p.indexes, member: m.Member, replicaSetID: p.replicaSetID}
	stored, err := first.checkpoint(ctx)
	if err != nil {
		return err
	}
	if err := p.Setup(ctx); err != nil {
		return err
	}
	if err := p.applyStored(ctx, stored); err != nil {
		return err
	}
	p.savedMembers = stored.Members
	p.nextCompareAt = firstComparison(p.Reconcile, stored.Compared, time.Now())
	if !stored.Baseline.IsZero() || stored.Lost {
		return nil
	}
	listed, err := p.takeSnapshot(ctx, m.Member)
	if err != nil {
		return usererror.Listing(err, p.Seeds.PathIsAuthSource)
	}
	if err := p.saveSnapshot(ctx, listed); err != nil {
		return err
	}
	return p.reloadCatalog(ctx)
}

// firstComparison returns when a run compares the catalog for the first time; zero for
// never.
func firstComparison(r config.Reconcile, compared oplog.Moment, now time.Time) time.Time {
	switch {
	case r.AtStart:
		return now
	case r.Every > 0 && !compared.IsZero():
		return compared.Wall.Add(r.Every)
	}
	return nextComparison(r, now)
}

// catalogPosition returns the timestamp of the catalog that the next entry sees.
func (p *Pipeline) catalogPosition() bson.Timestamp {
	at := p.position.TS
	if p.inclusive && at.I > 0 {
		at.I--
	}
	return at
}

// takeSnapshot lists the server's catalog for a NAME that has no baseline.
func (p *Pipeline) takeSnapshot(ctx context.Context, m oplog.Member) (snapshot.Snapshot, error) {
	began := time.Now()
	s, err := p.taker().Take(ctx, m)
	if err == nil {
		p.Log.Info("catalog snapshot taken", zap.Int("namespaces", len(s.Versions)), zap.Stringer("at", s.At.OpTime),
			zap.Duration("in", time.Since(began).Round(time.Millisecond)))
	}
	return s, err
}

// saveSnapshot stores a snapshot as the baseline. Known namespaces that are not listed are recorded as dropped, unless the server cannot list
// them.
func (p *Pipeline) saveSnapshot(ctx context.Context, s snapshot.Snapshot) error {
	known, err := p.Catalog.Load(ctx, s.At.TS)
	if err != nil {
		return err
	}
	if err := p.Catalog.SaveListed(ctx, schema.NewUpdate(known, s.Listed, s.At).Versions); err != nil {
		return err
	}
	inMemory := schema.NewUpdate(&p.known.Catalog, s.Listed, s.At)
	if err := p.keepUnlisted(ctx, known, inMemory.Kept); err != nil {
		return err
	}
	if err := p.unlisted.set(ctx, inMemory.Unlisted, p.Checkpoints); err != nil {
		return err
	}
	return p.setBaseline(ctx, s.At.OpTime)
}

func (p *Pipeline) setBaseline(ctx context.Context, at oplog.OpTime) error {
	p.baseline = at
	return p.Checkpoints.SetBaseline(ctx, at)
}

func (p *Pipeline) taker() snapshot.Taker {
	return snapshot.Taker{Detector: p.Detector, Watch: p.Watch, Progress: p.Status.progressed, Log: p.Log}
}
