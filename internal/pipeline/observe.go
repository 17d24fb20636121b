package pipeline

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/sink"
)

const (
	// observeEvery is how often figures are read that the pipeline itself does not
	// come across.
	observeEvery = 10 * time.Second
	// standstill is how old a member's newest majority-committed entry may be before it
	// is asked why: a quiet set's own no-op comes each 10 s.
	standstill = 30 * time.Second
	// maxCounted bounds the count of a queue that nobody empties.
	maxCounted = 100_000
)

// observeMember reads how far the member's oplog reaches, for the lag and for how
// long the position would be safe, and sees whether it still gets anywhere.
func (p *Pipeline) observeMember(ctx context.Context, m oplog.Member) error {
	if time.Since(p.observedAt) < observeEvery {
		return nil
	}
	state, err := m.State(ctx)
	if err != nil {
		return err
	}
	oldest, err := m.Oldest(ctx)
	if err != nil {
		return err
	}
	p.observedAt = time.Now()
	p.Metrics.Head.Set(float64(state.Majority.TS.T))
	p.Metrics.Oldest.Set(float64(oldest.OpTime.TS.T))
	if lag := state.Newest.Time().Sub(state.Majority.Time()); lag > standstill {
		p.Log.Warn("no majority has the newest entries of the member: waiting, since they may yet roll back",
			zap.String("member", m.Host), zap.Duration("behind", lag))
	}
	if time.Since(state.Majority.Time()) > standstill {
		return p.overtaken(ctx, m, state.Majority)
	}
	return nil
}

// overtaken asks the other members that may be read from for their newest entries.
func (p *Pipeline) overtaken(ctx context.Context, m oplog.Member, head oplog.OpTime) error {
	view, err := replicaset.Discover(ctx, p.Seeds)
	if err != nil {
		// That the others cannot be asked is no reason to stop reading from this one.
		return nil //nolint:nilerr // see above
	}
	for _, other := range view.Candidates(p.ReadPreference) {
		if other.Host == m.Host {
			continue
		}
		theirs, err := p.headOf(ctx, other.Host)
		if err == nil && theirs.Time().Sub(head.Time()) > standstill {
			p.overtakenHost = m.Host
			return fmt.Errorf("%s stands at %s, %s at %s: %w", m.Host, head, other.Host, theirs, oplog.ErrOvertaken)
		}
	}
	return nil
}

func (p *Pipeline) headOf(ctx context.Context, host string) (oplog.OpTime, error) {
	client, err := replicaset.Connect(ctx, p.Seeds.Options, host)
	if err != nil {
		return oplog.OpTime{}, err
	}
	m := member{oplog.Member{Host: host, Client: client}}
	defer m.close()
	return m.Head(ctx)
}

// Observe keeps the figures of the queue up to date until the context ends. What
// cannot be read keeps its last value: the pipeline says what is wrong.
func (p *Pipeline) Observe(ctx context.Context) error {
	if !p.Queue {
		return nil
	}
	for {
		n, err := p.Database.Collection(sink.Notifications).CountDocuments(ctx, bson.D{{Key: "processed", Value: false}}, options.Count().SetLimit(maxCounted))
		if err == nil {
			p.Metrics.Unprocessed.Set(float64(n))
		} else if ctx.Err() == nil {
			p.Log.Debug("the queue cannot be counted", zap.Error(err))
		}
		if !retry.Sleep(ctx, observeEvery) {
			return nil
		}
	}
}
