package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/members"
	"github.com/ddltail/ddltail/internal/recovery"
)

// recordTimeout bounds the recording of the members, which is optional.
const recordTimeout = 2 * time.Second

// errReplicaSetReplaced is the cause if the checkpoint was written for a set that was replaced.
var errReplicaSetReplaced = errors.New("the checkpoint was written for a replica set with another id")

// open opens the oplog of a member at the position. It returns a *recovery.LostError if the
// history after the position is lost.
func (p *Pipeline) open(ctx context.Context) (members.Opened, error) {
	p.enter(recovery.Verifying)
	opened, err := p.members.Open(ctx, p.readingPosition(), p.knownLoss())
	p.recordMembers(ctx)
	if err != nil {
		if p.members.Undecided() && !errors.As(err, new(*recovery.LostError)) {
			p.enter(recovery.Undecided)
		}
		return opened, err
	}
	p.shard = opened.Shard
	p.position, p.inclusive = opened.From.Moment, opened.From.Inclusive
	return opened, nil
}

// knownLoss returns why history is known to be lost without querying the members, or nil.
func (p *Pipeline) knownLoss() *recovery.LostError {
	switch {
	case p.replicaSetReplaced:
		// Two sets can have an entry of the same optime, such as the server's no-op.
		return &recovery.LostError{Cause: recovery.OtherHistory, Err: errReplicaSetReplaced}
	case p.checkpointLost:
		return &recovery.LostError{Cause: recovery.CheckpointLost, Err: checkpoint.ErrMissing}
	}
	return nil
}

func (p *Pipeline) readingPosition() members.Position {
	return members.Position{
		Moment: p.position, Inclusive: p.inclusive, Chain: p.chain,
		RequestedStart: p.requestedStart, Baseline: p.baseline,
	}
}

// recordMembers stores the members of the set's configuration when they change, for a
// restart at which no member of the URI answers. It is retried at the next change of member.
func (p *Pipeline) recordMembers(ctx context.Context) {
	hosts := p.Seeds.Known.Hosts()
	if len(hosts) == 0 || slices.Equal(hosts, p.savedMembers) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	if err := p.Checkpoints.RecordMembers(ctx, hosts); err != nil {
		p.Log.Debug("members cannot be recorded", zap.Error(err))
		return
	}
	p.savedMembers = hosts
}
