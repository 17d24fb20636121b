package members

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/recovery"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/usererror"
)

// Chooser chooses members by read preference. Its exported fields must be set. It keeps state
// about the members between calls, and is not safe for concurrent use.
type Chooser struct {
	Seeds          replicaset.Seeds
	ReadPreference readpref.Mode
	// LatencyTarget is passed to oplog.Start.
	LatencyTarget time.Duration
	Log           *zap.Logger

	shard oplog.Shard
	// stalledHost is the member that stalled, to be tried last.
	stalledHost string
	// nonPreferredSince is when a member outside the read preference was opened; zero if the
	// member is one of the preferred.
	nonPreferredSince time.Time
	// lackingSince is when the position was first found to be missing on all members.
	lackingSince time.Time
	lacking      oplog.OpTime
}

// Undecided reports whether the last Open found no member with the position, and replies of
// other members are needed before it counts as lost.
func (c *Chooser) Undecided() bool { return !c.lackingSince.IsZero() }

// Open chooses a member that holds the entry at the position, and opens its oplog there.
// Members that match the read preference are tried first, then all others: a freshly synced
// member has a short oplog, and a lagging one has not reached the position. It returns a
// *recovery.LostError if no member has the entry.
//
// If lost is not nil, history is already known to be lost: Open returns lost with the set's
// members.
func (c *Chooser) Open(ctx context.Context, at Position, lost *recovery.LostError) (Opened, error) {
	view, err := replicaset.Discover(ctx, c.Seeds)
	if err != nil {
		return Opened{}, c.explain(err)
	}
	if lost != nil {
		return Opened{}, &recovery.LostError{Cause: lost.Cause, View: view, Err: lost.Err}
	}
	if c.lacking != at.OpTime {
		c.lackingSince = time.Time{}
	}
	c.nonPreferredSince = time.Time{}
	preferred, err := c.preferred(view)
	if err != nil {
		return Opened{}, err
	}
	failed := map[string]error{}
	for _, candidate := range preferred {
		opened, err := c.openMember(ctx, candidate.Host, at)
		if err == nil {
			return opened, nil
		}
		failed[candidate.Host] = err
	}
	if slices.ContainsFunc(preferred, func(m replicaset.Member) bool { return recovery.LacksPosition(failed[m.Host]) }) {
		view = c.withHidden(ctx, view)
		if opened, ok := c.openOther(ctx, view, at, failed); ok {
			return opened, nil
		}
	}
	c.lacking = at.OpTime
	c.lackingSince, err = recovery.Assess(recovery.Survey{
		View: view, Failures: failed, Direct: c.Seeds.Direct, LackingSince: c.lackingSince,
	}, time.Now())
	return Opened{}, err
}

// Connect connects to the first member by read preference.
func (c *Chooser) Connect(ctx context.Context, view replicaset.View) (Member, error) {
	preferred, err := c.preferred(view)
	if err != nil {
		return Member{}, err
	}
	m, err := c.dial(ctx, preferred[0].Host)
	return m, c.explain(err)
}

// LongestOplog connects to the member with the oldest oplog entry, or to the primary if the
// set's history was replaced.
func (c *Chooser) LongestOplog(ctx context.Context, lost *recovery.LostError) (Member, error) {
	var best Member
	var oldest oplog.OpTime
	var failed []error
	for _, candidate := range lost.View.Members {
		if !c.Seeds.Direct && (candidate.Delayed || lost.Cause == recovery.OtherHistory && !candidate.Primary) {
			// A delayed member's catalog is outdated.
			continue
		}
		m, first, err := c.oldestOf(ctx, candidate.Host)
		switch {
		case err != nil:
			failed = append(failed, err)
		case best.Client == nil || oldest.After(first):
			if best.Client != nil {
				best.Close()
			}
			best, oldest = m, first
		default:
			m.Close()
		}
	}
	if best.Client == nil {
		if len(failed) == 0 { // all were left out
			failed = append(failed, fmt.Errorf("no primary is visible: %w", lost.View.Reason()))
		}
		return Member{}, fmt.Errorf("find a member to resume from: %w", errors.Join(failed...))
	}
	return best, nil
}

// oldestOf connects to a member and reads its oldest entry.
func (c *Chooser) oldestOf(ctx context.Context, host string) (Member, oplog.OpTime, error) {
	m, err := c.dial(ctx, host)
	if err != nil {
		return m, oplog.OpTime{}, err
	}
	first, err := m.Oldest(ctx)
	if err != nil {
		m.Close()
	}
	return m, first.OpTime, err
}

// preferred returns the members to try, at least one; a stalled one comes last.
func (c *Chooser) preferred(view replicaset.View) ([]replicaset.Member, error) {
	fit := view.Candidates(c.ReadPreference)
	if len(fit) == 0 {
		return nil, fmt.Errorf("no member of %s matches the read preference %s: %w", view.SetName, c.ReadPreference, view.Reason())
	}
	slices.SortStableFunc(fit, func(a, b replicaset.Member) int {
		switch c.stalledHost {
		case a.Host:
			return 1
		case b.Host:
			return -1
		}
		return 0
	})
	return fit, nil
}

// withHidden adds the hidden members to a view: one of them may hold the position.
func (c *Chooser) withHidden(ctx context.Context, view replicaset.View) replicaset.View {
	all, err := view.WithHidden(ctx, c.Seeds)
	if err != nil && c.lackingSince.IsZero() {
		c.Log.Info("the set's configuration cannot be read; hidden members that the URI does not name are not queried", zap.Error(err))
	}
	return all
}

// openOther tries the members that were not tried yet, regardless of the read preference, and
// delayed ones last. It records why each failed.
func (c *Chooser) openOther(ctx context.Context, view replicaset.View, at Position, failed map[string]error) (Opened, bool) {
	for _, other := range hiddenLast(view.Members) {
		if _, tried := failed[other.Host]; tried {
			continue
		}
		opened, err := c.openMember(ctx, other.Host, at)
		if err == nil {
			c.Log.Warn("only a member outside the read preference has the position", zap.String("member", other.Host),
				zap.Bool("hidden", other.Hidden), zap.Bool("delayed", other.Delayed))
			c.nonPreferredSince = time.Now()
			return opened, true
		}
		failed[other.Host] = err
	}
	return Opened{}, false
}

// hiddenLast orders members: hidden ones after the others, delayed ones last.
func hiddenLast(members []replicaset.Member) []replicaset.Member {
	rank := func(m replicaset.Member) int {
		switch {
		case m.Delayed:
			return 2
		case m.Hidden:
			return 1
		}
		return 0
	}
	sorted := slices.Clone(members)
	slices.SortStableFunc(sorted, func(a, b replicaset.Member) int { return rank(a) - rank(b) })
	return sorted
}

func (c *Chooser) openMember(ctx context.Context, host string, at Position) (Opened, error) {
	m, err := c.dial(ctx, host)
	if err != nil {
		return Opened{}, c.explain(err)
	}
	if err := c.identify(ctx, m); err != nil {
		m.Close()
		return Opened{}, c.explain(err)
	}
	reader, from, err := c.openReader(ctx, m, at)
	if err != nil {
		m.Close()
		return Opened{}, c.explain(err)
	}
	c.lackingSince = time.Time{}
	return Opened{Member: m, Reader: reader, Shard: c.shard, From: from}, nil
}

// identify reads whether the set is a shard of a cluster. A set can become a shard later, so
// it is read from every member that is opened. Without the privilege only the shard's
// fields and operations are missing.
func (c *Chooser) identify(ctx context.Context, m Member) error {
	shard, err := m.Shard(ctx)
	if privileges.IsUnauthorized(err) {
		// The privilege check at startup has reported it.
		return nil
	}
	if err != nil {
		return err
	}
	if shard != c.shard {
		c.Log.Info("replica set is a shard", zap.String("shard", shard.Name), zap.String("cluster_id", shard.Cluster.Hex()))
	}
	c.shard = shard
	return nil
}

// openReader verifies that the member has the position, and the beginning of a transaction
// that another member lacked. Before the baseline of a first run with a past START it
// continues at the oldest entry: truncated entries there are not a gap.
func (c *Chooser) openReader(ctx context.Context, m Member, at Position) (*oplog.Reader, Position, error) {
	if at.Chain != nil {
		first, ok, err := m.At(ctx, at.Chain.Missing.TS)
		if err != nil {
			return nil, at, err
		}
		if !ok || first.OpTime != at.Chain.Missing {
			return nil, at, at.Chain
		}
	}
	reader, err := oplog.Open(ctx, m.Member, c.start(at))
	var lost *oplog.PositionError
	if errors.As(err, &lost) && lost.Truncated() && at.BeforeBaseline(lost.Oldest) {
		c.Log.Warn("oldest entries were truncated before they were read; continuing at the oldest entry", zap.Stringer("oldest", lost.Oldest))
		at.Moment, at.Inclusive = oplog.Moment{OpTime: lost.Oldest, Wall: lost.Oldest.Time()}, true
		reader, err = oplog.Open(ctx, m.Member, c.start(at))
	}
	return reader, at, err
}

// start returns the start of a reader; on a shard it includes further entries.
func (c *Chooser) start(at Position) oplog.Start {
	return oplog.Start{Position: at.OpTime, Inclusive: at.Inclusive, Sharded: !c.shard.IsZero(), LatencyTarget: c.LatencyTarget}
}

func (c *Chooser) dial(ctx context.Context, host string) (Member, error) {
	client, err := replicaset.Connect(ctx, c.Seeds.Options, host)
	return Member{oplog.Member{Host: host, Client: client}}, err
}

func (c *Chooser) explain(err error) error {
	return usererror.Tailed(err, c.Seeds.PathIsAuthSource)
}
