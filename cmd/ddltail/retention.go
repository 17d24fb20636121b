package main

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/retention"
)

const (
	// retainEvery is how often `run` removes old history, and retainAgain how soon after
	// a failure.
	retainEvery = time.Hour
	retainAgain = time.Minute
)

// retain removes history that is older than HISTORY_TTL, every hour. Without HISTORY_TTL it
// returns at once.
func (d *daemon) retain(ctx context.Context, db *mongo.Database, source string) error {
	if d.cfg.HistoryTTL == 0 {
		return nil
	}
	for {
		next := retainEvery
		removed, err := retention.PruneHistory(ctx, db, source, d.cfg.HistoryTTL)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			next = retainAgain
			d.metrics.RetentionErrors.Inc()
			d.log.Warn("old history cannot be removed", zap.Duration("again_in", next), zap.Error(d.explainSink(ctx, db, err)))
		default:
			if removed.ActorsKept != nil && d.cfg.Actor.On() {
				d.metrics.RetentionErrors.Inc()
				d.log.Warn("old actors cannot be removed", zap.Error(removed.ActorsKept))
			}
			d.log.Info("removed old history", zap.Int("changes", removed.Changes), zap.Int("versions", removed.Versions),
				zap.Time("before", removed.Horizon))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(next):
		}
	}
}
