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

// lostAfter is how long every member that answers must be without the position
// before it counts as lost, where that is not certain at once: a primary just elected
// needs a moment until its majority-committed view has what its oplog has, and a member
// that is down may come back and have it.
const lostAfter = 15 * time.Second

// loss is what became of the history at a position.
type loss int

const (
	// truncated: every oplog begins after it.
	truncated loss = iota
	// otherHistory: the oplogs reach over it, or end before it, and do not have it.
	otherHistory
	// brokenChain: the beginning of a transaction that took effect after it is gone.
	brokenChain
	// presumed: the stored checkpoint was lost, and the position is only a guess.
	presumed
)

// errAnotherSet says that the checkpoint was made of a set that is no more.
var errAnotherSet = errors.New("the replica set is another one than the checkpoint's")

// lostError says that no member holds what comes after the position.
type lostError struct {
	loss  loss
	view  replicaset.View
	cause error
}

func (e *lostError) Error() string {
	return "the history after the position is lost: " + e.cause.Error()
}

func (e *lostError) Unwrap() error { return e.cause }

// member is the connection to the one member that is read from.
type member struct {
	oplog.Member
}

func (m member) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	// The connections are closed either way; nobody is helped by the reason.
	_ = m.Client.Disconnect(ctx)
}

// open chooses a member that holds the entry at the position. The preferred ones
// are asked first; then all others, since one freshly synced has a short oplog
// and one that lags has not got there yet. The error is a *lostError where none does.
func (p *Pipeline) open(ctx context.Context) (member, *oplog.Reader, error) {
	view, err := replicaset.Discover(ctx, p.Seeds)
	if err != nil {
		return member{}, nil, Explain(err, p.Seeds.PathIsAuthSource)
	}
	if p.anew {
		// Two sets can have an entry of one optime: the server's no-op is likely to.
		return member{}, nil, &lostError{loss: otherHistory, view: view, cause: errAnotherSet}
	}
	if p.lost {
		return member{}, nil, &lostError{loss: presumed, view: view, cause: checkpoint.ErrMissing}
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
	if slices.ContainsFunc(preferred, func(m replicaset.Member) bool { return withoutHistory(failed[m.Host]) }) {
		for _, other := range view.Members {
			if _, asked := failed[other.Host]; asked {
				continue
			}
			m, r, err := p.openMember(ctx, other.Host)
			if err == nil {
				p.Log.Warn("only a member outside the read preference still holds the position", zap.String("member", other.Host))
				return m, r, nil
			}
			failed[other.Host] = err
		}
	}
	return member{}, nil, p.judge(view, failed)
}

// preferred orders the members to try, one that stood still last.
func (p *Pipeline) preferred(view replicaset.View) []replicaset.Member {
	members := view.Candidates(p.ReadPreference)
	slices.SortStableFunc(members, func(a, b replicaset.Member) int {
		switch p.overtakenHost {
		case a.Host:
			return 1
		case b.Host:
			return -1
		}
		return 0
	})
	return members
}

// withoutHistory says whether a member answered, and does not hold what is needed.
func withoutHistory(err error) bool {
	var position *oplog.PositionError
	var chain *oplog.ChainError
	return errors.As(err, &position) || errors.As(err, &chain)
}

func (p *Pipeline) openMember(ctx context.Context, host string) (member, *oplog.Reader, error) {
	client, err := replicaset.Connect(ctx, p.Seeds.Options, host)
	if err != nil {
		return member{}, nil, Explain(err, p.Seeds.PathIsAuthSource)
	}
	m := member{oplog.Member{Host: host, Client: client}}
	if err := p.identify(ctx, m.Member); err != nil {
		m.close()
		return member{}, nil, Explain(err, p.Seeds.PathIsAuthSource)
	}
	reader, err := p.openReader(ctx, m.Member)
	if err != nil {
		m.close()
		return member{}, nil, Explain(err, p.Seeds.PathIsAuthSource)
	}
	p.lostSince = time.Time{}
	return m, reader, nil
}

// identify asks whether the set is a shard of a cluster. It can be added to one
// later, so every member that is opened is asked. A user who may not know loses no
// more than what a shard adds.
func (p *Pipeline) identify(ctx context.Context, m oplog.Member) error {
	shard, err := m.Shard(ctx)
	if unauthorized(err) {
		p.Log.Info("whether the set is a shard of a cluster may not be read: if it is one, how its collections are sharded is not told",
			zap.String("remedy", "grant find on the collection system.version of admin"))
		return nil
	}
	if err != nil {
		return err
	}
	if shard != p.Origin.Shard {
		p.Log.Info("the set is a shard of a cluster", zap.String("shard", shard.Name), zap.String("cluster_id", shard.Cluster.Hex()))
	}
	p.Origin.Shard = shard
	return nil
}

// openReader proves that the member holds the position, and the beginning of a chain
// that another one did not. Within the past that a first run asked for, it goes to the
// oldest entry that there still is: it asked for what there is.
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
	if errors.As(err, &lost) && lost.Truncated() && p.inThePast(lost.Oldest) {
		p.Log.Warn("the oldest entries were truncated before they were read", zap.Stringer("oldest", lost.Oldest))
		p.position, p.inclusive = oplog.Moment{OpTime: lost.Oldest, Wall: lost.Oldest.Time()}, true
		reader, err = oplog.Open(ctx, m, p.from(lost.Oldest, true))
	}
	return reader, err
}

// from is where a reader begins; a shard's entries hold more than others do.
func (p *Pipeline) from(at oplog.OpTime, inclusive bool) oplog.Start {
	return oplog.Start{Position: at, Inclusive: inclusive, Sharded: !p.Origin.Shard.IsZero()}
}

// inThePast says whether a moment lies before all that a first run promises to tell.
func (p *Pipeline) inThePast(at oplog.OpTime) bool {
	return !p.began.IsZero() && at.TS.Before(p.baseline.TS)
}

// judge says what the failures of all members mean together: that history is lost, if
// the primary says so, or the one member that was asked for.
func (p *Pipeline) judge(view replicaset.View, failed map[string]error) error {
	var errs []error
	var decisive error
	certain := len(view.Unreachable) == 0
	for _, m := range view.Members {
		err := failed[m.Host]
		errs = append(errs, err)
		if !withoutHistory(err) {
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
	if decisive == nil || !certain && time.Since(p.lostSince) < lostAfter {
		return all
	}
	return &lostError{loss: lossOf(decisive), view: view, cause: all}
}

func lossOf(err error) loss {
	var position *oplog.PositionError
	switch {
	case !errors.As(err, &position):
		return brokenChain
	case position.Truncated():
		return truncated
	}
	return otherHistory
}
