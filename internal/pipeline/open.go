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
	"github.com/ddltail/ddltail/internal/replicaset"
)

// positionLostAfter is how long every reachable member must lack the position before it
// counts as lost, unless it is certain at once: the majority-committed view of a new
// primary needs a moment to reach its oplog, and a member that is down may hold it.
const positionLostAfter = 15 * time.Second

// gapCause is why the history after a position is lost.
type gapCause int

const (
	// truncated: every oplog begins after it.
	truncated gapCause = iota
	// otherHistory: the oplogs include its time, or end before it, and do not hold it.
	otherHistory
	// brokenChain: the beginning of a transaction that took effect after it is gone.
	brokenChain
	// presumed: the stored checkpoint was lost; the position was derived from the history.
	presumed
)

// errReplicaSetReplaced is the cause if the checkpoint was written for a set that was replaced.
var errReplicaSetReplaced = errors.New("the checkpoint was written for a replica set with another id")

// positionLostError is returned if no member holds the entries after the position.
type positionLostError struct {
	gapCause gapCause
	view     replicaset.View
	cause    error
}

func (e *positionLostError) Error() string {
	return "the history after the position is lost: " + e.cause.Error()
}

func (e *positionLostError) Unwrap() error { return e.cause }

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
// a lagging one has not reached the position. It returns a *positionLostError if no member
// holds it.
func (p *Pipeline) open(ctx context.Context) (member, *oplog.Reader, error) {
	view, err := replicaset.Discover(ctx, p.Seeds)
	if err != nil {
		return member{}, nil, UserError(err, p.Seeds.PathIsAuthSource)
	}
	if p.replicaSetReplaced {
		// Two sets can have an entry of the same optime, such as the server's no-op.
		return member{}, nil, &positionLostError{gapCause: otherHistory, view: view, cause: errReplicaSetReplaced}
	}
	if p.checkpointLost {
		return member{}, nil, &positionLostError{gapCause: presumed, view: view, cause: checkpoint.ErrMissing}
	}
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
	if slices.ContainsFunc(preferred, func(m replicaset.Member) bool { return lacksPosition(failed[m.Host]) }) {
		for _, other := range view.Members {
			if _, asked := failed[other.Host]; asked {
				continue
			}
			m, r, err := p.openMember(ctx, other.Host)
			if err == nil {
				p.Log.Warn("only a member outside the read preference holds the position", zap.String("member", other.Host))
				return m, r, nil
			}
			failed[other.Host] = err
		}
	}
	return member{}, nil, p.assess(view, failed)
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

// lacksPosition reports whether a member answered and does not hold the required entries.
func lacksPosition(err error) bool {
	var position *oplog.PositionError
	var chain *oplog.ChainError
	return errors.As(err, &position) || errors.As(err, &chain)
}

func (p *Pipeline) openMember(ctx context.Context, host string) (member, *oplog.Reader, error) {
	client, err := replicaset.Connect(ctx, p.Seeds.Options, host)
	if err != nil {
		return member{}, nil, UserError(err, p.Seeds.PathIsAuthSource)
	}
	m := member{oplog.Member{Host: host, Client: client}}
	if err := p.identify(ctx, m.Member); err != nil {
		m.close()
		return member{}, nil, UserError(err, p.Seeds.PathIsAuthSource)
	}
	reader, err := p.openReader(ctx, m.Member)
	if err != nil {
		m.close()
		return member{}, nil, UserError(err, p.Seeds.PathIsAuthSource)
	}
	p.lostSince = time.Time{}
	return m, reader, nil
}

// identify reads whether the set is a shard of a cluster. A set can become a shard later, so
// it is read from every member that is opened. Without the privilege only the shard's
// fields and operations are missing.
func (p *Pipeline) identify(ctx context.Context, m oplog.Member) error {
	shard, err := m.Shard(ctx)
	if unauthorized(err) {
		p.Log.Info("not authorized to read admin.system.version; if this set is a shard, sharding changes will not be reported",
			zap.String("remedy", "grant find on the collection system.version of admin"))
		return nil
	}
	if err != nil {
		return err
	}
	if shard != p.Origin.Shard {
		p.Log.Info("replica set is a shard", zap.String("shard", shard.Name), zap.String("cluster_id", shard.Cluster.Hex()))
	}
	p.Origin.Shard = shard
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
	return oplog.Start{Position: at, Inclusive: inclusive, Sharded: !p.Origin.Shard.IsZero()}
}

// isBeforeBaseline reports whether a position is before the baseline of a first run with a
// past START.
func (p *Pipeline) isBeforeBaseline(at oplog.OpTime) bool {
	return !p.requestedStart.IsZero() && at.TS.Before(p.baseline.TS)
}

// assess returns what the errors of all members mean together: a *positionLostError if the
// primary, or the directly connected member, lacks the position.
func (p *Pipeline) assess(view replicaset.View, failed map[string]error) error {
	var errs []error
	var decisive error
	certain := len(view.Unreachable) == 0
	for _, m := range view.Members {
		err := failed[m.Host]
		errs = append(errs, err)
		if !lacksPosition(err) {
			p.lostSince = time.Time{}
			return errors.Join(errs...)
		}
		if m.Primary || p.Seeds.Direct {
			decisive = err
		}
		var position *oplog.PositionError
		certain = certain && (!errors.As(err, &position) || !position.Lagging())
	}
	all := errors.Join(errs...)
	if p.lostSince.IsZero() {
		p.lostSince = time.Now()
	}
	if decisive == nil || !certain && time.Since(p.lostSince) < positionLostAfter {
		return all
	}
	return &positionLostError{gapCause: gapCauseOf(decisive), view: view, cause: all}
}

func gapCauseOf(err error) gapCause {
	var position *oplog.PositionError
	switch {
	case !errors.As(err, &position):
		return brokenChain
	case position.Truncated():
		return truncated
	}
	return otherHistory
}
