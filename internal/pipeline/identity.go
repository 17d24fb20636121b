package pipeline

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/sink"
)

const (
	// ownershipProbe is how long a checkpoint of another replica set is observed: a running
	// ddltail advances it at least every 20 s, 10 s for the server's no-op and 10 s for
	// idleCheckpointInterval.
	ownershipProbe = 25 * time.Second
	ownershipPoll  = 500 * time.Millisecond
)

// isForeign reports whether a checkpoint belongs to another replica set.
func (p *Pipeline) isForeign(stored checkpoint.Checkpoint) bool {
	return !p.replicaSetID.IsZero() && !stored.ReplicaSetID.IsZero() && stored.ReplicaSetID != p.replicaSetID
}

// Conflict decides what to do with a document whose _id another change has. If the
// checkpoint is known to be this set's, an earlier release reported the same entry
// differently: its document is kept. Otherwise two sets may share a SOURCE: the error is
// returned and the checkpoint does not advance.
func (p *Pipeline) Conflict(conflict *sink.ConflictError) error {
	if p.replicaSetID.IsZero() {
		return conflict
	}
	p.Log.Warn("a different document with this _id exists (earlier release); keeping it",
		zap.String("collection", conflict.Namespace), zap.String("_id", conflict.ID))
	return nil
}

// foreignCheckpointError is returned if two sets of one name share a sink; it says what to do.
func foreignCheckpointError(stored checkpoint.Checkpoint) error {
	return &config.Error{
		Reason: fmt.Sprintf("the checkpoint of source %s belongs to another replica set of the same name", stored.Source),
		Remedy: "set a different DDLTAIL_SOURCE for one of them",
	}
}

// takeOwnership ensures that the checkpoint is this set's. A checkpoint of another set that
// no longer advances is taken over: a recreated set has a new id and another history,
// which is a gap. If it still advances, two sets share a SOURCE.
func (p *Pipeline) takeOwnership(ctx context.Context, stored checkpoint.Checkpoint) error {
	if p.replicaSetID.IsZero() || stored.ReplicaSetID == p.replicaSetID {
		return nil
	}
	if p.isForeign(stored) {
		p.Log.Warn("checkpoint belongs to another replica set of this name; checking whether it still advances",
			zap.Duration("at_most", ownershipProbe))
		if err := p.probeForeign(ctx, stored); err != nil {
			return err
		}
	}
	p.replicaSetReplaced = p.isForeign(stored)
	claimed, err := p.Checkpoints.TakeOwnership(ctx, stored, p.replicaSetID)
	if err == nil && !claimed {
		return fmt.Errorf("the checkpoint of %s changed while its ownership was checked", stored.Source)
	}
	return err
}

func (p *Pipeline) probeForeign(ctx context.Context, stored checkpoint.Checkpoint) error {
	for end := time.Now().Add(ownershipProbe); time.Now().Before(end); {
		if !retry.Sleep(ctx, ownershipPoll) {
			return ctx.Err()
		}
		now, ok, err := p.Checkpoints.Load(ctx)
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
