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
	// claimWatch is how long a checkpoint of another replica set is watched: whoever
	// still moves it does so at least each 20 s, 10 s for the server's no-op and as much
	// for the quiet checkpoint.
	claimWatch = 25 * time.Second
	claimPoll  = 500 * time.Millisecond
)

// foreign says whether a checkpoint is that of another replica set.
func (p *Pipeline) foreign(stored checkpoint.Checkpoint) bool {
	return !p.set.IsZero() && !stored.ReplicaSetID.IsZero() && stored.ReplicaSetID != p.set
}

// Conflict decides what becomes of a document whose _id another change has. Where the
// checkpoint is surely this set's, an earlier release told the same entry otherwise: its
// word stands. Else two sets may write under one source, and the position is held.
func (p *Pipeline) Conflict(conflict *sink.ConflictError) error {
	if p.set.IsZero() {
		return conflict
	}
	p.Log.Warn("an earlier release told this change otherwise: its document stays",
		zap.String("collection", conflict.Namespace), zap.String("_id", conflict.ID))
	return nil
}

// anotherSet is what a user has to do where two sets of one name share a sink.
func anotherSet(stored checkpoint.Checkpoint) error {
	return &config.Error{
		Reason: fmt.Sprintf("the checkpoint of the source %s is that of another replica set of the same name", stored.Source),
		Remedy: "set DDLTAIL_SOURCE for one of them, so that each has its own",
	}
}

// claim makes sure that the checkpoint is this set's. One of another set is taken over
// where nobody moves it any more, since a set made anew has a new id: its history is
// another one, and a gap. Where somebody does, two sets share a source.
func (p *Pipeline) claim(ctx context.Context, stored checkpoint.Checkpoint) error {
	if p.set.IsZero() || stored.ReplicaSetID == p.set {
		return nil
	}
	if p.foreign(stored) {
		p.Log.Warn("the checkpoint is that of another replica set of this name: seeing whether that one is still running",
			zap.Duration("at_most", claimWatch))
		if err := p.watchForeign(ctx, stored); err != nil {
			return err
		}
	}
	p.anew = p.foreign(stored)
	claimed, err := p.Checkpoints.Claim(ctx, stored, p.set)
	if err == nil && !claimed {
		return fmt.Errorf("the checkpoint of %s was moved while it was looked at", stored.Source)
	}
	return err
}

func (p *Pipeline) watchForeign(ctx context.Context, stored checkpoint.Checkpoint) error {
	for end := time.Now().Add(claimWatch); time.Now().Before(end); {
		if !retry.Sleep(ctx, claimPoll) {
			return ctx.Err()
		}
		now, ok, err := p.Checkpoints.Load(ctx)
		switch {
		case err != nil:
			return err
		case ok && now.ReplicaSetID != stored.ReplicaSetID:
			return nil // another process of this set was faster
		case ok && !now.SavedAt.Equal(stored.SavedAt):
			return anotherSet(stored)
		}
	}
	return nil
}
