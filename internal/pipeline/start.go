package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/recovery"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/snapshot"
	"github.com/ddltail/ddltail/internal/usererror"
)

// Prepare loads the stored checkpoint, or decides where a first run starts and stores that
// before it writes anything else. Then it creates what is missing of ddltail's own
// collections, before the snapshot fills one of them. It is idempotent.
func (p *Pipeline) Prepare(ctx context.Context, view replicaset.View) error {
	m, err := p.connect(ctx, view)
	if err != nil {
		return err
	}
	defer m.close()
	p.leaseHolder = bson.NewObjectID().Hex()
	p.replicaSetID = p.replicaSetIDOf(ctx, m.Member)
	stored, err := p.startCheckpoint(ctx, m.Member)
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
	p.compareAt = firstComparison(p.Reconcile, stored.Compared, time.Now())
	if !stored.Baseline.IsZero() || stored.Lost {
		return nil
	}
	if _, err := p.takeSnapshot(ctx, m.Member); err != nil {
		return err
	}
	return p.reloadCatalog(ctx)
}

// startCheckpoint loads the stored checkpoint, or creates the first one.
func (p *Pipeline) startCheckpoint(ctx context.Context, m oplog.Member) (checkpoint.Checkpoint, error) {
	if err := p.Checkpoints.Setup(ctx, p.indexes.Ensure); err != nil {
		return checkpoint.Checkpoint{}, err
	}
	if p.Queue {
		if err := p.Checkpoints.CheckQueue(ctx); err != nil {
			return checkpoint.Checkpoint{}, queueTakenError(err)
		}
	}
	stored, ok, err := p.Checkpoints.Load(ctx)
	if err != nil {
		return stored, err
	}
	if !ok {
		return p.createCheckpoint(ctx, m)
	}
	if err := p.checkSettings(ctx, stored); err != nil {
		return stored, err
	}
	return stored, p.takeOwnership(ctx, stored)
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

// takeSnapshot lists the server's catalog for a NAME that has no baseline. Known namespaces
// that are not listed are recorded as dropped, unless the server cannot list them.
func (p *Pipeline) takeSnapshot(ctx context.Context, m oplog.Member) (snapshot.Snapshot, error) {
	began := time.Now()
	s, err := p.taker().Take(ctx, m)
	if err != nil {
		return s, usererror.Listing(err, p.Seeds.PathIsAuthSource)
	}
	at := s.At.OpTime
	known, err := p.Catalog.Load(ctx, at.TS)
	if err != nil {
		return s, err
	}
	if err := p.Catalog.SaveListed(ctx, schema.NewUpdate(known, s.Listed, s.At).Versions); err != nil {
		return s, err
	}
	inMemory := schema.NewUpdate(&p.known.Catalog, s.Listed, s.At)
	if err := p.keepUnlisted(ctx, known, inMemory.Kept); err != nil {
		return s, err
	}
	if err := p.setUnlisted(ctx, inMemory.Unlisted); err != nil {
		return s, err
	}
	p.Log.Info("catalog snapshot taken", zap.Int("namespaces", len(s.Versions)), zap.Stringer("at", at),
		zap.Duration("in", time.Since(began).Round(time.Millisecond)))
	p.baseline = at
	return s, p.Checkpoints.SetBaseline(ctx, at)
}

func (p *Pipeline) taker() snapshot.Taker {
	return snapshot.Taker{Detector: p.Detector, Watch: p.Watch, Log: p.Log}
}

// connect opens the first member by read preference.
func (p *Pipeline) connect(ctx context.Context, view replicaset.View) (member, error) {
	candidates := view.Candidates(p.ReadPreference)
	if len(candidates) == 0 {
		return member{}, fmt.Errorf("no member of %s fits the read preference %s: %w",
			view.SetName, p.ReadPreference, view.Reason())
	}
	client, err := replicaset.Connect(ctx, p.Seeds.Options, candidates[0].Host)
	if err != nil {
		return member{}, usererror.Tailed(err, p.Seeds.PathIsAuthSource)
	}
	return member{oplog.Member{Host: candidates[0].Host, Client: client}}, nil
}

// createCheckpoint stores where this NAME starts. If the source has history or a catalog
// but no checkpoint, the checkpoint was lost: it starts where those end.
func (p *Pipeline) createCheckpoint(ctx context.Context, m oplog.Member) (checkpoint.Checkpoint, error) {
	first := p.First
	first.ReplicaSetID = p.replicaSetID
	held, err := p.storedOf(ctx)
	if err != nil {
		return checkpoint.Checkpoint{}, err
	}
	at, lost := recovery.PresumedPosition(held)
	if lost {
		p.Log.Warn("checkpoint missing but history exists; resuming where the history ends", zap.Stringer("position", at.At))
	} else {
		if at, err = p.firstPosition(ctx, m); err != nil {
			return checkpoint.Checkpoint{}, usererror.Tailed(err, p.Seeds.PathIsAuthSource)
		}
		if at.Inclusive {
			first.Began = at.At.OpTime
		}
	}
	first.Position, first.Inclusive, first.Lost = at.At, at.Inclusive, lost
	stored, err := p.Checkpoints.Create(ctx, first, p.Queue)
	if err != nil {
		return checkpoint.Checkpoint{}, queueTakenError(err)
	}
	p.Log.Info("first run", zap.Stringer("position", stored.Position), zap.Time("time", stored.Position.Time()))
	return stored, nil
}

// storedOf reads what is stored of the source.
func (p *Pipeline) storedOf(ctx context.Context) (held recovery.Stored, err error) {
	if held.OtherNames, err = p.Checkpoints.OfSource(ctx, p.First.Source); err != nil {
		return held, err
	}
	if held.Catalog, err = p.Catalog.Newest(ctx); err != nil {
		return held, err
	}
	if held.Published, err = sink.NewestPublished(ctx, p.Database, p.First.Source); err != nil {
		return held, err
	}
	held.FirstBehind, err = sink.FirstPublishedAfter(ctx, p.Database, p.First.Source, held.Catalog.OpTime)
	return held, err
}

// firstPosition reads the ends of the member's oplog and returns where a first run starts.
func (p *Pipeline) firstPosition(ctx context.Context, m oplog.Member) (recovery.Resume, error) {
	ends, err := endsOf(ctx, m, p.Start.At)
	if err != nil {
		return recovery.Resume{}, err
	}
	requested := recovery.Requested(p.Start)
	if requested.TooEarly(ends) {
		p.Log.Warn("DDLTAIL_START is before the oldest oplog entry; starting there",
			zap.Time("start", p.Start.At), zap.Time("oldest", ends.Oldest.Time()))
	}
	return recovery.FirstPosition(requested, ends), nil
}

// endsOf reads the oldest and the newest entry, and the first one since a time, if one is given.
func endsOf(ctx context.Context, m oplog.Member, since time.Time) (recovery.Ends, error) {
	head, err := m.Head(ctx)
	if err != nil {
		return recovery.Ends{}, err
	}
	ends := recovery.Ends{Head: oplog.Moment{OpTime: head, Wall: head.Time()}}
	newest, ok, err := m.At(ctx, head.TS)
	if err != nil {
		return ends, err
	}
	if ok {
		ends.Head.Wall = newest.Wall
	}
	oldest, err := m.Oldest(ctx)
	if err != nil {
		return ends, err
	}
	ends.Oldest = oplog.Moment{OpTime: oldest.OpTime, Wall: oldest.Wall}
	if since.IsZero() {
		return ends, nil
	}
	first, ok, err := m.From(ctx, bson.Timestamp{T: uint32(since.Unix())}, head.TS)
	if ok {
		ends.FirstSince = oplog.Moment{OpTime: first.OpTime, Wall: first.Wall}
	}
	return ends, err
}

// checkSettings compares this process's filters and sinks with those of the last one.
func (p *Pipeline) checkSettings(ctx context.Context, stored checkpoint.Checkpoint) error {
	if equalSettings(stored.Settings, p.First.Settings) {
		return nil
	}
	p.Log.Warn("filters or sinks differ from those of the last run of this DDLTAIL_NAME",
		zap.Any("recorded", stored.Settings), zap.Any("now", p.First.Settings))
	return queueTakenError(p.Checkpoints.RecordSettings(ctx, p.First.Settings, p.Queue))
}

func equalSettings(a, b checkpoint.Settings) bool {
	return slices.Equal(a.Sinks, b.Sinks) && slices.Equal(a.Namespaces, b.Namespaces) &&
		slices.Equal(a.ExcludeNamespaces, b.ExcludeNamespaces) && slices.Equal(a.Operations, b.Operations)
}

func queueTakenError(err error) error {
	if errors.Is(err, checkpoint.ErrQueueTaken) {
		return &config.Error{Reason: "DDLTAIL_NAME: " + err.Error(), Err: err,
			Remedy: "give it another DDLTAIL_DATABASE; to hand the queue over, delete the old checkpoint document"}
	}
	return err
}
