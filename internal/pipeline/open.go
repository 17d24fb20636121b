package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/recovery"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/usererror"
)

// recordTimeout bounds the recording of the members, which nothing waits for.
const recordTimeout = 2 * time.Second

// errReplicaSetReplaced is the cause if the checkpoint was written for a set that was replaced.
var errReplicaSetReplaced = errors.New("the checkpoint was written for a replica set with another id")

// member is a connection to one member.
type member struct {
	oplog.Member
}

func (m member) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	// The connections are closed either way; the error does not matter.
	_ = m.Client.Disconnect(ctx)
}

// open chooses a member that holds the entry at the position. Members that fit the read
// preference are tried first, then all others: a freshly synced one has a short oplog, and
// a lagging one has not reached the position. It returns a *recovery.LostError if no member
// holds it.
func (p *Pipeline) open(ctx context.Context) (member, *oplog.Reader, error) {
	p.enter(recovery.Verifying)
	view, err := replicaset.Discover(ctx, p.Seeds)
	if err != nil {
		return member{}, nil, usererror.Tailed(err, p.Seeds.PathIsAuthSource)
	}
	p.recordMembers(ctx)
	if p.replicaSetReplaced {
		// Two sets can have an entry of the same optime, such as the server's no-op.
		return member{}, nil, &recovery.LostError{Cause: recovery.OtherHistory, View: view, Err: errReplicaSetReplaced}
	}
	if p.checkpointLost {
		return member{}, nil, &recovery.LostError{Cause: recovery.CheckpointLost, View: view, Err: checkpoint.ErrMissing}
	}
	p.nonPreferredSince = time.Time{}
	preferred := p.preferred(view)
	if len(preferred) == 0 {
		return member{}, nil, fmt.Errorf("no member of %s fits the read preference %s: %w", view.SetName, p.ReadPreference, view.Reason())
	}
	failed := map[string]error{}
	for _, candidate := range preferred {
		m, r, err := p.openMember(ctx, candidate.Host)
		if err == nil {
			return m, r, nil
		}
		failed[candidate.Host] = err
	}
	if slices.ContainsFunc(preferred, func(m replicaset.Member) bool { return recovery.LacksPosition(failed[m.Host]) }) {
		view = p.withHidden(ctx, view)
		if m, r, ok := p.openOther(ctx, view, failed); ok {
			return m, r, nil
		}
	}
	p.lostSince, err = recovery.Assess(recovery.Survey{
		View: view, Failures: failed, Direct: p.Seeds.Direct, LackingSince: p.lostSince,
	}, time.Now())
	if !p.lostSince.IsZero() && !errors.As(err, new(*recovery.LostError)) {
		p.enter(recovery.Undecided)
	}
	return member{}, nil, err
}

// recordMembers stores the members of the set's configuration when they change, for a
// restart at which none of the URI's answers. It is tried again at the next change of member.
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

// withHidden adds the hidden members to a view: one of them may hold the position.
func (p *Pipeline) withHidden(ctx context.Context, view replicaset.View) replicaset.View {
	all, err := view.WithHidden(ctx, p.Seeds)
	if err != nil && p.lostSince.IsZero() {
		p.Log.Info("the set's configuration cannot be read; hidden members that the URI does not name are not asked", zap.Error(err))
	}
	return all
}

// openOther tries the members that were not tried yet, regardless of the read preference, and
// delayed ones last. It records why each failed.
func (p *Pipeline) openOther(ctx context.Context, view replicaset.View, failed map[string]error) (member, *oplog.Reader, bool) {
	others := slices.Clone(view.Members)
	slices.SortStableFunc(others, func(a, b replicaset.Member) int { return reserveRank(a) - reserveRank(b) })
	for _, other := range others {
		if _, asked := failed[other.Host]; asked {
			continue
		}
		m, r, err := p.openMember(ctx, other.Host)
		if err == nil {
			p.Log.Warn("only a member outside the read preference holds the position", zap.String("member", other.Host),
				zap.Bool("hidden", other.Hidden), zap.Bool("delayed", other.Delayed))
			p.nonPreferredSince = time.Now()
			return m, r, true
		}
		failed[other.Host] = err
	}
	return member{}, nil, false
}

func reserveRank(m replicaset.Member) int {
	switch {
	case m.Delayed:
		return 2
	case m.Hidden:
		return 1
	}
	return 0
}

// preferred returns the members to try; a stalled one comes last.
func (p *Pipeline) preferred(view replicaset.View) []replicaset.Member {
	members := view.Candidates(p.ReadPreference)
	slices.SortStableFunc(members, func(a, b replicaset.Member) int {
		switch p.stalledHost {
		case a.Host:
			return 1
		case b.Host:
			return -1
		}
		return 0
	})
	return members
}

func (p *Pipeline) openMember(ctx context.Context, host string) (member, *oplog.Reader, error) {
	client, err := replicaset.Connect(ctx, p.Seeds.Options, host)
	if err != nil {
		return member{}, nil, usererror.Tailed(err, p.Seeds.PathIsAuthSource)
	}
	m := member{oplog.Member{Host: host, Client: client}}
	if err := p.identify(ctx, m.Member); err != nil {
		m.close()
		return member{}, nil, usererror.Tailed(err, p.Seeds.PathIsAuthSource)
	}
	reader, err := p.openReader(ctx, m.Member)
	if err != nil {
		m.close()
		return member{}, nil, usererror.Tailed(err, p.Seeds.PathIsAuthSource)
	}
	p.lostSince = time.Time{}
	return m, reader, nil
}

// identify reads whether the set is a shard of a cluster. A set can become a shard later, so
// it is read from every member that is opened. Without the privilege only the shard's
// fields and operations are missing.
func (p *Pipeline) identify(ctx context.Context, m oplog.Member) error {
	shard, err := m.Shard(ctx)
	if privileges.IsUnauthorized(err) {
		// The check at the start has reported it.
		return nil
	}
	if err != nil {
		return err
	}
	if shard != p.shard {
		p.Log.Info("replica set is a shard", zap.String("shard", shard.Name), zap.String("cluster_id", shard.Cluster.Hex()))
	}
	p.shard = shard
	return nil
}

// openReader verifies that the member holds the position, and the beginning of a transaction
// that another member lacked. Before the baseline of a first run with a past START it
// continues at the oldest entry: what was truncated there is no gap.
func (p *Pipeline) openReader(ctx context.Context, m oplog.Member) (*oplog.Reader, error) {
	if p.chain != nil {
		first, ok, err := m.At(ctx, p.chain.Missing.TS)
		if err != nil {
			return nil, err
		}
		if !ok || first.OpTime != p.chain.Missing {
			return nil, p.chain
		}
	}
	reader, err := oplog.Open(ctx, m, p.from(p.position.OpTime, p.inclusive))
	var lost *oplog.PositionError
	if errors.As(err, &lost) && lost.Truncated() && p.isBeforeBaseline(lost.Oldest) {
		p.Log.Warn("oldest entries were truncated before they were read; continuing at the oldest entry", zap.Stringer("oldest", lost.Oldest))
		p.position, p.inclusive = oplog.Moment{OpTime: lost.Oldest, Wall: lost.Oldest.Time()}, true
		reader, err = oplog.Open(ctx, m, p.from(lost.Oldest, true))
	}
	return reader, err
}

// from returns the start of a reader; a shard's entries hold more than others do.
func (p *Pipeline) from(at oplog.OpTime, inclusive bool) oplog.Start {
	return oplog.Start{Position: at, Inclusive: inclusive, Sharded: !p.shard.IsZero(), LatencyTarget: p.LatencyTarget}
}

// isBeforeBaseline reports whether a position is before the baseline of a first run with a
// past START.
func (p *Pipeline) isBeforeBaseline(at oplog.OpTime) bool {
	return !p.requestedStart.IsZero() && at.TS.Before(p.baseline.TS)
}
