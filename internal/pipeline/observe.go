package pipeline

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/sink"
)

const (
	// observeEvery is how often figures are read that the pipeline itself does not
	// come across.
	observeEvery = 10 * time.Second
	// maxCounted bounds the count of a queue that nobody empties.
	maxCounted = 100_000
)

// observeMember reads how far the member's oplog reaches, for the lag and for how
// long the position would be safe.
func (p *Pipeline) observeMember(ctx context.Context, m oplog.Member) error {
	if time.Since(p.observedAt) < observeEvery {
		return nil
	}
	head, err := m.Head(ctx)
	if err != nil {
		return err
	}
	oldest, err := m.Oldest(ctx)
	if err != nil {
		return err
	}
	p.observedAt = time.Now()
	p.Metrics.Head.Set(float64(head.TS.T))
	p.Metrics.Oldest.Set(float64(oldest.OpTime.TS.T))
	return nil
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
		if !sleep(ctx, observeEvery) {
			return nil
		}
	}
}
