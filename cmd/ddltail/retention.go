package main

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/sink"
)

const (
	// retainEvery is how often `run` removes old history, and retainAgain how soon after
	// a failure.
	retainEvery = time.Hour
	retainAgain = time.Minute
)

// retain removes history that is older than HISTORY_TTL, each hour. Without a limit
// it has nothing to do.
func (d *daemon) retain(ctx context.Context, db *mongo.Database, source string) error {
	if d.cfg.HistoryTTL == 0 {
		return nil
	}
	for {
		next := retainEvery
		removed, err := history.NewReader(db).Retain(ctx, source, d.cfg.HistoryTTL)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			next = retainAgain
			d.metrics.RetentionErrors.Inc()
			d.log.Warn("old history cannot be removed", zap.Duration("again_in", next), zap.Error(d.explainSink(ctx, db, err)))
		default:
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

// indexHistory creates the index that an earlier release did not, beside the detector. It
// runs each hour, since the collection may be dropped and created anew.
func (d *daemon) indexHistory(ctx context.Context, db *mongo.Database) error {
	if !writesHistory(d.cfg) {
		return nil
	}
	for {
		if err := sink.HistoryOrderSetup(ctx, db); err != nil && ctx.Err() == nil {
			d.log.Warn("history index not created", zap.Duration("again_in", retainEvery), zap.Error(d.explainSink(ctx, db, err)))
		}
		if !retry.Sleep(ctx, retainEvery) {
			return nil
		}
	}
}
