package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
)

// lostAfter is how long every member that answers must be without the position
// before it counts as lost: a primary just elected needs a moment until its
// majority-committed view has what its oplog has.
const lostAfter = 15 * time.Second

// ErrPositionLost says that no member holds the entry at the checkpoint any more.
var ErrPositionLost = errors.New("the oplog no longer holds the checkpoint")

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
// and one that lags has not got there yet.
func (p *Pipeline) open(ctx context.Context) (member, *oplog.Reader, error) {
	view, err := replicaset.Discover(ctx, p.Seeds)
	if err != nil {
		return member{}, nil, Explain(err, p.Seeds.PathIsAuthSource)
	}
	preferred := view.Candidates(p.ReadPreference)
	if len(preferred) == 0 {
		return member{}, nil, fmt.Errorf("no member of %s fits the read preference %s: %w", view.SetName, p.ReadPreference, view.Reason())
	}
	var failed []error
	var position *oplog.PositionError
	for _, candidate := range preferred {
		m, r, err := p.openMember(ctx, candidate.Host)
		if err == nil {
			return m, r, nil
		}
		failed = append(failed, err)
	}
	if errors.As(errors.Join(failed...), &position) {
		for _, other := range view.Members {
			if slices.ContainsFunc(preferred, func(m replicaset.Member) bool { return m.Host == other.Host }) {
				continue
			}
			m, r, err := p.openMember(ctx, other.Host)
			if err == nil {
				p.Log.Warn("only a member outside the read preference still holds the position", zap.String("member", other.Host))
				return m, r, nil
			}
			failed = append(failed, err)
		}
	}
	return member{}, nil, p.judge(failed)
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

// openReader goes to the next oldest entry where a first run asked for the oldest
// one and it has been truncated meanwhile: it asked for what there is.
func (p *Pipeline) openReader(ctx context.Context, m oplog.Member) (*oplog.Reader, error) {
	reader, err := oplog.Open(ctx, m, oplog.Start{Position: p.position, Inclusive: p.inclusive, Sharded: !p.Origin.Shard.IsZero()})
	var lost *oplog.PositionError
	if p.inclusive && errors.As(err, &lost) && lost.Truncated() {
		p.Log.Warn("the oldest entries were truncated before they were read", zap.Stringer("oldest", lost.Oldest))
		p.position = lost.Oldest
		reader, err = oplog.Open(ctx, m, oplog.Start{Position: p.position, Inclusive: true, Sharded: !p.Origin.Shard.IsZero()})
	}
	return reader, err
}

// judge says what the failures of all members mean together.
func (p *Pipeline) judge(failed []error) error {
	all := errors.Join(failed...)
	for _, err := range failed {
		var position *oplog.PositionError
		if !errors.As(err, &position) {
			p.lostSince = time.Time{}
			return all
		}
	}
	if p.lostSince.IsZero() {
		p.lostSince = time.Now()
	}
	if time.Since(p.lostSince) < lostAfter {
		return all
	}
	return fmt.Errorf("%w: %w", ErrPositionLost, all)
}
