package pipeline

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/members"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/store"
)

const (
	// observeEvery is how often the oplog's bounds and the queue's length are read.
	observeEvery = 10 * time.Second
	// maxCounted bounds the count of a queue without a consumer.
	maxCounted = 100_000
)

// observeMember reads the bounds of the member's oplog for the metrics, and returns an error if
// another member should be read.
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
	if lag := state.Newest.Time().Sub(state.Majority.Time()); lag > members.StallThreshold {
		p.Log.Warn("newest entries are not majority-committed yet and may roll back; waiting",
			zap.String("member", m.Host), zap.Duration("behind", lag))
	}
	return p.members.Check(ctx, m, state.Majority)
}

// Observe updates the queue's metrics until the context ends. A metric that cannot be read
// keeps its last value.
func (p *Pipeline) Observe(ctx context.Context) error {
	if !p.Queue {
		return nil
	}
	for {
		n, err := p.Database.Collection(store.Notifications).CountDocuments(ctx, bson.D{{Key: "processed", Value: false}}, options.Count().SetLimit(maxCounted))
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
