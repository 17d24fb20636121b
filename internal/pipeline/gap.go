package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/retry"
)

// leaseRetry is how soon a process asks again for a lease that another one has.
const leaseRetry = time.Second

// bridge goes on behind lost history: it takes the catalog as it stood where the oplog
// begins again, and records it beside what was known. What differs is told from there
// (settlePending), by this process or whichever comes first.
func (p *Pipeline) bridge(ctx context.Context, gone *lostError) error {
	stored, err := p.load(ctx)
	if err != nil || stored.Pending != nil {
		return err
	}
	switch {
	case p.position.After(stored.Position.OpTime):
		// Entries that changed nothing move the stored position only now and then.
		return p.save(ctx, p.position)
	case stored.Position.OpTime != p.position.OpTime || stored.Inclusive != p.inclusive:
		p.Log.Info("another ddltail has moved the position", zap.Stringer("position", stored.Position))
		return p.adopt(ctx, stored)
	}
	p.Status.stopped(gone)
	p.Log.Warn("history is lost: the catalogs before and after are compared", zap.Error(gone))
	return p.leased(ctx, p.position.OpTime, func(ctx context.Context) error {
		found, err := p.land(ctx, gone)
		if err != nil {
			return err
		}
		return p.record(ctx, found, p.position.OpTime)
	})
}

// leased does work that one process does at a time, and keeps the lease while it
// lasts. Where another process has the lease it waits a little and does nothing.
func (p *Pipeline) leased(ctx context.Context, at oplog.OpTime, work func(context.Context) error) error {
	have, err := p.Checkpoints.Lease(ctx, at, p.holder)
	if err != nil {
		return err
	}
	if !have {
		p.Log.Info("another ddltail compares the catalogs")
		retry.Sleep(ctx, leaseRetry)
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		for retry.Sleep(ctx, checkpoint.LeaseRenewal) {
			// Where it cannot be kept, Record finds out.
			_, _ = p.Checkpoints.Lease(ctx, at, p.holder)
		}
	}()
	defer func() {
		cancel()
		<-kept
	}()
	return work(ctx)
}

// landing is where the oplog is taken up again, with the catalog of that moment.
type landing struct {
	comparison checkpoint.Comparison
	state      []detector.Version
}

// land lists the catalog of a member and, where the oplog reaches further back, takes
// it back to there.
func (p *Pipeline) land(ctx context.Context, gone *lostError) (landing, error) {
	m, err := p.longestOplog(ctx, gone)
	if err != nil {
		return landing{}, err
	}
	defer m.close()
	p.set = p.setOf(ctx, m.Member)
	listed, err := catalog.Baseline{Detector: p.Detector, Watch: p.Watch, Log: p.Log}.Take(ctx, m.Member)
	if err != nil {
		return landing{}, explainListing(err, p.Seeds.PathIsAuthSource)
	}
	to, inclusive, err := p.landingPoint(ctx, m.Member, gone, listed.At)
	if err != nil {
		return landing{}, err
	}
	before := p.knownMoment()
	known, err := p.Catalog.Load(ctx, before.TS)
	if err != nil {
		return landing{}, err
	}
	state, err := catalog.Rewound(ctx, m.Member, p.Detector, catalog.Span{
		From: oplog.Start{Position: to.OpTime, Inclusive: inclusive}, To: listed, LastKnown: known,
	})
	if err != nil {
		return landing{}, err
	}
	newest, err := p.Catalog.Newest(ctx)
	return landing{
		comparison: checkpoint.Comparison{
			From: p.position, To: to, Gap: true, Known: before, Inclusive: inclusive, Listed: listed.At,
			Unknown: newest.IsZero() && p.baseline.IsZero(),
		},
		state: state,
	}, err
}

// knownMoment is when the catalog held that is known at the position. What a first run
// lists it learns a moment after its position.
func (p *Pipeline) knownMoment() oplog.OpTime {
	at := oplog.OpTime{TS: p.before()}
	if p.baseline.TS.After(at.TS) {
		return p.baseline
	}
	return at
}

// longestOplog connects to the member whose oplog begins first, and to the primary
// where it is another history that counts.
func (p *Pipeline) longestOplog(ctx context.Context, gone *lostError) (member, error) {
	var best member
	var oldest oplog.OpTime
	var failed []error
	for _, candidate := range gone.view.Members {
		if gone.loss == otherHistory && !candidate.Primary && !p.Seeds.Direct {
			continue
		}
		m, first, err := p.oldestOf(ctx, candidate.Host)
		switch {
		case err != nil:
			failed = append(failed, err)
		case best.Client == nil || oldest.After(first):
			if best.Client != nil {
				best.close()
			}
			best, oldest = m, first
		default:
			m.close()
		}
	}
	if best.Client == nil {
		return member{}, fmt.Errorf("find a member to go on from: %w", errors.Join(failed...))
	}
	return best, nil
}

// oldestOf connects to a member and reads its oldest entry.
func (p *Pipeline) oldestOf(ctx context.Context, host string) (member, oplog.OpTime, error) {
	client, err := replicaset.Connect(ctx, p.Seeds.Options, host)
	if err != nil {
		return member{}, oplog.OpTime{}, err
	}
	m := member{oplog.Member{Host: host, Client: client}}
	first, err := m.Oldest(ctx)
	if err != nil {
		m.close()
	}
	return m, first.OpTime, err
}

// landingPoint is the first entry that is still held, and still to be told. Of another
// history nothing is told but what it has come to: it goes on from the listing.
func (p *Pipeline) landingPoint(ctx context.Context, m oplog.Member, gone *lostError, listed oplog.Moment) (oplog.Moment, bool, error) {
	switch gone.loss {
	case brokenChain:
		at, ok, err := m.At(ctx, p.chain.End.TS)
		if err == nil && ok {
			return oplog.Moment{OpTime: at.OpTime, Wall: at.Wall}, false, nil
		}
		if err != nil {
			return oplog.Moment{}, false, err
		}
	case presumed:
		at, ok, err := m.At(ctx, p.position.TS)
		if err == nil && ok && at.OpTime == p.position.OpTime {
			return p.position, p.inclusive, nil
		}
		if err != nil {
			return oplog.Moment{}, false, err
		}
	}
	oldest, err := m.Oldest(ctx)
	if err != nil {
		return oplog.Moment{}, false, err
	}
	if gone.loss != otherHistory && oldest.OpTime.TS.After(p.position.TS) {
		return oplog.Moment{OpTime: oldest.OpTime, Wall: oldest.Wall}, true, nil
	}
	if !listed.TS.After(p.position.TS) {
		// The documents of one history must not take the ids of another's.
		return oplog.Moment{}, false, fmt.Errorf("another history stands at %s, and its clock has not reached the checkpoint %s yet",
			listed, p.position)
	}
	return listed, false, nil
}

// record saves the catalog of the landing, and then makes the comparison count.
func (p *Pipeline) record(ctx context.Context, found landing, at oplog.OpTime) error {
	c := found.comparison
	stamp := momentOf(c)
	there, err := p.Catalog.Load(ctx, stamp.TS)
	if err != nil {
		return err
	}
	versions, undefined := catalog.Changed(there, found.state, stamp)
	for _, v := range undefined {
		c.Undefined = append(c.Undefined, checkpoint.Undefined{
			Database: v.Namespace.Database, Collection: v.Namespace.Collection,
			Kind: string(v.Definition.Kind), UUID: v.Definition.UUID.Binary(),
		})
	}
	if err := p.Catalog.SaveListed(ctx, versions); err != nil {
		return err
	}
	counts, err := p.Checkpoints.Record(ctx, at, p.holder, c, p.set)
	if err != nil {
		return err
	}
	if !counts {
		p.Log.Info("another ddltail was faster in comparing the catalogs")
	}
	return nil
}

// momentOf is where in the catalog the definitions of a comparison stand: below the
// entry at To, if that one is still to come.
func momentOf(c checkpoint.Comparison) oplog.Moment {
	at := c.To
	if c.Inclusive {
		at.OpTime = at.Before()
	}
	return at
}

// adopt goes on from what is stored.
func (p *Pipeline) adopt(ctx context.Context, stored checkpoint.Checkpoint) error {
	p.position, p.inclusive, p.lost = stored.Position, stored.Inclusive, stored.Lost
	p.began, p.baseline, p.compared = stored.Began, stored.Baseline, stored.Compared.OpTime
	p.chain, p.lostSince, p.listed = nil, time.Time{}, nil
	p.noteSaved(stored.Position.OpTime)
	return p.adoptCatalog(ctx)
}

// setOf is the id of the set that a member belongs to, zero where it may not be read.
func (p *Pipeline) setOf(ctx context.Context, m oplog.Member) bson.ObjectID {
	id, err := m.ReplicaSetID(ctx)
	if err != nil {
		p.Log.Debug("the replica set's id is not known", zap.Error(err))
	}
	return id
}

// undefined makes versions of what is known by name alone.
func undefined(c checkpoint.Comparison) []detector.Version {
	out := make([]detector.Version, len(c.Undefined))
	for i, u := range c.Undefined {
		def := detector.Definition{Kind: detector.Kind(u.Kind)}
		if len(u.UUID.Data) == len(def.UUID) {
			def.UUID = oplog.UUID(u.UUID.Data)
		}
		out[i] = detector.Version{Namespace: detector.Namespace{Database: u.Database, Collection: u.Collection}, Definition: &def}
	}
	return out
}
