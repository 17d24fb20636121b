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
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/recovery"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/usererror"
)

const (
	// ownershipProbe is how long a checkpoint of another replica set is observed: a running
	// ddltail advances it at least every 20 s, 10 s for the server's no-op and 10 s for
	// idleCheckpointInterval.
	ownershipProbe = 25 * time.Second
	ownershipPoll  = 500 * time.Millisecond
)

// start loads the checkpoint that a process continues from, or decides where a first run
// begins and stores that.
type start struct {
	Config
	indexes *ownindex.Builder
	// member is the member whose oplog bounds are read; replicaSetID is the id of its set, zero if not known.
	member       oplog.Member
	replicaSetID bson.ObjectID
}

// checkpoint loads the stored checkpoint, or creates the first one. A checkpoint of another
// replica set is taken over.
func (s start) checkpoint(ctx context.Context) (checkpoint.Checkpoint, error) {
	if err := s.Checkpoints.Setup(ctx, s.indexes.Ensure); err != nil {
		return checkpoint.Checkpoint{}, err
	}
	if s.Queue {
		if err := s.Checkpoints.CheckQueue(ctx); err != nil {
			return checkpoint.Checkpoint{}, queueTakenError(err)
		}
	}
	stored, ok, err := s.Checkpoints.Load(ctx)
	if err != nil {
		return stored, err
	}
	if !ok {
		return s.create(ctx)
	}
	if err := s.checkSettings(ctx, stored); err != nil {
		return stored, err
	}
	if err := s.takeOwnership(ctx, stored); err != nil {
		return stored, err
	}
	stored.Replaced = stored.Replaced || isForeign(stored, s.replicaSetID)
	return stored, nil
}

// takeOwnership ensures that the checkpoint belongs to this set. A checkpoint of another set
// that no longer advances is taken over: a recreated set has a new id and a new history, which
// is a gap. If it still advances, two sets share a SOURCE.
func (s start) takeOwnership(ctx context.Context, stored checkpoint.Checkpoint) error {
	if s.replicaSetID.IsZero() || stored.ReplicaSetID == s.replicaSetID {
		return nil
	}
	if isForeign(stored, s.replicaSetID) {
		s.Log.Warn("checkpoint belongs to another replica set of this name; checking whether it still advances",
			zap.Duration("at_most", ownershipProbe))
		if err := s.probeForeign(ctx, stored); err != nil {
			return err
		}
	}
	claimed, err := s.Checkpoints.TakeOwnership(ctx, stored, s.replicaSetID)
	if err == nil && !claimed {
		return fmt.Errorf("the checkpoint of %s changed while its ownership was checked", stored.Source)
	}
	return err
}

func (s start) probeForeign(ctx context.Context, stored checkpoint.Checkpoint) error {
	for end := time.Now().Add(ownershipProbe); time.Now().Before(end); {
		if !retry.Sleep(ctx, ownershipPoll) {
			return ctx.Err()
		}
		now, ok, err := s.Checkpoints.Load(ctx)
		switch {
		case err != nil:
			return err
		case ok && now.ReplicaSetID != stored.ReplicaSetID:
			return nil // another process of this set was faster
		case ok && !now.SavedAt.Equal(stored.SavedAt):
			return foreignCheckpointError(stored)
		}
	}
	return nil
}

// create stores the position at which this NAME starts. If the source has history or a catalog
// but no checkpoint, the checkpoint was lost: it starts where those end.
func (s start) create(ctx context.Context) (checkpoint.Checkpoint, error) {
	first := s.First
	first.ReplicaSetID = s.replicaSetID
	held, err := s.storedOf(ctx)
	if err != nil {
		return checkpoint.Checkpoint{}, err
	}
	at, lost := recovery.PresumedPosition(held)
	if lost {
		s.Log.Warn("checkpoint missing but history exists; resuming where the history ends", zap.Stringer("position", at.At))
	} else {
		if at, err = s.firstPosition(ctx); err != nil {
			return checkpoint.Checkpoint{}, usererror.Tailed(err, s.Seeds.PathIsAuthSource)
		}
		if at.Inclusive {
			first.Began = at.At.OpTime
		}
	}
	first.Position, first.Inclusive, first.Lost = at.At, at.Inclusive, lost
	stored, err := s.Checkpoints.Create(ctx, first, s.Queue)
	if err != nil {
		return checkpoint.Checkpoint{}, queueTakenError(err)
	}
	s.Log.Info("first run", zap.Stringer("position", stored.Position), zap.Time("time", stored.Position.Time()))
	return stored, nil
}

// storedOf reads the stored state of the source.
func (s start) storedOf(ctx context.Context) (held recovery.Stored, err error) {
	if held.OtherNames, err = s.Checkpoints.Exists(ctx, s.First.Source); err != nil {
		return held, err
	}
	if held.Catalog, err = s.Catalog.Newest(ctx); err != nil {
		return held, err
	}
	if held.Published, err = store.NewestPublished(ctx, s.Database, s.First.Source); err != nil {
		return held, err
	}
	held.FirstBehind, err = store.FirstPublishedAfter(ctx, s.Database, s.First.Source, held.Catalog.OpTime)
	return held, err
}

// firstPosition reads the ends of the member's oplog and returns where a first run starts.
func (s start) firstPosition(ctx context.Context) (recovery.Resume, error) {
	ends, err := endsOf(ctx, s.member, s.Start.At)
	if err != nil {
		return recovery.Resume{}, err
	}
	requested := recovery.Requested(s.Start)
	if requested.TooEarly(ends) {
		s.Log.Warn("DDLTAIL_START is before the oldest oplog entry; starting there",
			zap.Time("start", s.Start.At), zap.Time("oldest", ends.Oldest.Time()))
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
func (s start) checkSettings(ctx context.Context, stored checkpoint.Checkpoint) error {
	if equalSettings(stored.Settings, s.First.Settings) {
		return nil
	}
	s.Log.Warn("filters or sinks differ from those of the last run of this DDLTAIL_NAME",
		zap.Any("recorded", stored.Settings), zap.Any("now", s.First.Settings))
	return queueTakenError(s.Checkpoints.RecordSettings(ctx, s.First.Settings, s.Queue))
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
