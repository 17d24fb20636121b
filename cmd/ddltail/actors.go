package main

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/attribution"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/pipeline"
	"github.com/ddltail/ddltail/internal/store"
)

// actorsOf returns the attributor of a pipeline's changes; nil if DDLTAIL_ACTOR is off.
func (d *daemon) actorsOf(db *mongo.Database, p *pipeline.Pipeline) *attribution.Attributor {
	if !d.cfg.Actor.On() {
		return nil
	}
	startActorMetrics(d.metrics)
	c := attribution.Config{
		GetLog: d.cfg.Actor.GetLog, Files: d.cfg.Actor.Files, Wait: d.cfg.Actor.Wait, Fields: d.cfg.Actor.Fields,
		Seeds: p.Seeds, Source: p.Origin.Source, Actors: db.Collection(store.Actors),
		Metrics: attribution.Metrics{Actors: d.metrics.Actors, Wait: d.metrics.ActorWait, Missed: d.metrics.LinesMissed},
		Log:     d.log,
	}
	if writesHistory(d.cfg) {
		c.History = db.Collection(store.History)
	}
	return attribution.New(c)
}

// startActorMetrics initializes the series of DDLTAIL_ACTOR at zero.
func startActorMetrics(m *metrics.Run) {
	for _, labels := range [][]string{{string(actor.ByLog), "true"}, {string(actor.ByLog), "false"}, {string(actor.BySession), "true"}, {attribution.None, "false"}} {
		m.Actors.WithLabelValues(labels...)
	}
}

// actorsSince is how long before the checkpoint, or before now, the logs are read from at startup: the clocks of log lines and entries
// differ slightly, and an earlier process may have been killed before it stored the actors that it had found.
const (
	beforeCheckpoint = time.Minute
	beforeNow        = 11 * time.Minute
)

// actorsSince returns the time from which the logs are read.
func actorsSince(ctx context.Context, p *pipeline.Pipeline) time.Time {
	since := time.Now().Add(-beforeNow)
	stored, ok, err := p.Checkpoints.Load(ctx)
	if at := stored.Position.Time().Add(-beforeCheckpoint); err == nil && ok && at.Before(since) {
		since = at
	}
	return since
}
