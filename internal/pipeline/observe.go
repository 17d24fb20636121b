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
	// observeEvery is how often the oplog's bounds and the queue's length are read.
	observeEvery = 10 * time.Second
	// stallThreshold is how old a member's newest majority-committed entry may be before other
	// members are checked: an idle primary writes a no-op every 10 s.
	stallThreshold = 30 * time.Second
	// retryPreferredAfter is how long a member outside the read preference is read from before the
	// preferred ones are tried again.
	retryPreferredAfter = time.Minute
	// maxCounted bounds the count of a queue without a consumer.
	maxCounted = 100_000
)

// observeMember reads the bounds of the member's oplog for the metrics, and checks whether
// the member has stalled.
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
	p.Metrics.Headroom.SetOldest(m.Host, oldest.OpTime.TS.T, p.observedAt)
	if lag := state.Newest.Time().Sub(state.Majority.Time()); lag > stallThreshold {
		p.Log.Warn("newest entries are not majority-committed yet and may roll back; waiting",
			zap.String("member", m.Host), zap.Duration("behind", lag))
	}
	if !p.nonPreferredSince.IsZero() {
		// It may be a delayed member, which always lags and has not stalled.
		return p.checkPreferredRetry(m)
	}
	if time.Since(state.Majority.Time()) > stallThreshold {
		return p.checkStalled(ctx, m, state.Majority)
	}
	return nil
}

// checkPreferredRetry returns oplog.ErrOutsidePreference when it is time to try the preferred
// members again.
func (p *Pipeline) checkPreferredRetry(m oplog.Member) error {
	if time.Since(p.nonPreferredSince) < retryPreferredAfter {
		return nil
	}
	return fmt.Errorf("%s: %w", m.Host, oplog.ErrOutsidePreference)
}

// checkStalled compares the member's newest entry with those of the other members that fit
// the read preference.
func (p *Pipeline) checkStalled(ctx context.Context, m oplog.Member, head oplog.OpTime) error {
	view, err := replicaset.Discover(ctx, p.Seeds)
	if err != nil {
		// If the others cannot be reached, continue reading from this one.
		return nil //nolint:nilerr // see above
	}
	for _, other := range view.Candidates(p.ReadPreference) {
		if other.Host == m.Host {
			continue
		}
		theirs, err := p.headOf(ctx, other.Host)
		if err == nil && theirs.Time().Sub(head.Time()) > stallThreshold {
			p.stalledHost = m.Host
			return fmt.Errorf("%s is at %s, %s at %s: %w", m.Host, head, other.Host, theirs, oplog.ErrOvertaken)
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

// Observe updates the queue's metrics until the context ends. A metric that cannot be read
// keeps its last value.
func (p *Pipeline) Observe(ctx context.Context) error {
	if !p.Queue {
		return nil
	}
	for {
		n, err := p.Database.Collection(sink.Notifications).CountDocuments(ctx, bson.D{{Key: "processed", Value: false}}, options.Count().SetLimit(maxCounted))
		if err == nil {
			p.Metrics.Unprocessed.Set(float64(n))
		} else if ctx.Err() == nil {
			p.Log.Debug("unprocessed notifications cannot be counted", zap.Error(err))
		}
		if !retry.Sleep(ctx, observeEvery) {
			return nil
		}
	}
}
