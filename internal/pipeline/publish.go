package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/retry"
)

// shutdownGrace is how long writes may continue after the signal to stop.
const shutdownGrace = 2 * time.Second

// errStoredChanged is returned when another process has changed the stored state: this
// process must reload it.
var errStoredChanged = errors.New("another ddltail compared the catalog")

// publish writes documents to every sink, in the sinks' order, then versions to the
// catalog, and then advances the checkpoint to the last entry of the batch. While a sink
// is unavailable it retries, and the checkpoint does not advance.
//
// After ctx ends it finishes the batch if that takes no longer than shutdownGrace.
func (p *Pipeline) publish(ctx context.Context, o batch) error {
	if o.size() == 0 {
		p.setPosition(o.upTo)
		p.detected = p.detected && o.upTo.IsZero()
		return nil
	}
	// This comes before reading the stored checkpoint, which must be recent when the first document is written.
	p.findActors(ctx, &o)
	ctx, cancel := retry.Outlasting(ctx, shutdownGrace)
	defer cancel()
	if err := p.recreateCollections(ctx); err != nil {
		return err
	}
	stored, err := p.stored(ctx)
	if err != nil {
		return err
	}
	docs := o.docs
	if !stored.Inclusive {
		docs = after(docs, stored.Position.OpTime)
	}
	if err := p.writer.write(ctx, docs, nil); err != nil {
		return err
	}
	err = p.writer.retryUntilDone(ctx, "catalog", func(ctx context.Context) error { return p.Catalog.Save(ctx, o.versions) })
	if err != nil {
		return err
	}
	now := time.Now()
	for _, d := range docs {
		p.Metrics.Latency.Observe(now.Sub(d.Change.Wall).Seconds())
	}
	if err := p.save(ctx, o.upTo); err != nil {
		return err
	}
	p.setPosition(o.upTo)
	p.detected = false
	return nil
}

// findActors sets the actors of the documents that are found in time.
func (p *Pipeline) findActors(ctx context.Context, o *batch) {
	if p.Actors == nil || len(o.subjects) == 0 {
		return
	}
	found := p.Actors.Find(ctx, o.subjects)
	for i, d := range o.docs {
		o.docs[i].Actor = found[d.ID]
	}
}

// stored reads the checkpoint again before each write, since another process may have
// advanced it. It returns errStoredChanged if the catalog was compared since.
func (p *Pipeline) stored(ctx context.Context) (checkpoint.Checkpoint, error) {
	stored, err := p.load(ctx)
	switch {
	case err != nil:
		return stored, err
	case stored.Pending != nil:
		return stored, errStoredChanged
	case stored.Compared.OpTime != p.compared:
		p.compared = stored.Compared.OpTime
		return stored, errStoredChanged
	}
	return stored, nil
}

// load reads the checkpoint and recreates it if it was deleted. It returns a
// *config.Error if it belongs to another replica set.
func (p *Pipeline) load(ctx context.Context) (checkpoint.Checkpoint, error) {
	var stored checkpoint.Checkpoint
	err := p.writer.retryUntilDone(ctx, "checkpoint", func(ctx context.Context) (err error) {
		stored, err = p.restoreCheckpoint(ctx)
		return err
	})
	if err == nil && isForeign(stored, p.replicaSetID) {
		err = foreignCheckpointError(stored)
	}
	return stored, err
}

// after drops the documents at or below the stored checkpoint: they may have been processed
// and cleaned up since.
func after(docs []notification.Document, stored oplog.OpTime) []notification.Document {
	for i, d := range docs {
		if d.Change.OpTime.After(stored) {
			return docs[i:]
		}
	}
	return nil
}

// save advances the stored checkpoint, and recreates it if it was deleted.
func (p *Pipeline) save(ctx context.Context, at oplog.Moment) error {
	var stored checkpoint.Checkpoint
	err := p.writer.retryUntilDone(ctx, "checkpoint", func(ctx context.Context) (err error) {
		stored, err = p.Checkpoints.Advance(ctx, at, p.replicaSetID)
		if errors.Is(err, checkpoint.ErrMissing) {
			if _, err = p.restoreCheckpoint(ctx); err == nil {
				stored, err = p.Checkpoints.Advance(ctx, at, p.replicaSetID)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if isForeign(stored, p.replicaSetID) {
		return foreignCheckpointError(stored)
	}
	p.recordSaved(stored.Position.OpTime)
	return nil
}

func (p *Pipeline) recordSaved(stored oplog.OpTime) {
	p.saved, p.savedAt = stored, time.Now()
	p.Metrics.Checkpoint.Set(float64(stored.TS.T))
	p.Metrics.Headroom.SetCheckpoint(stored.TS.T)
}
