package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/ddltail/ddltail/internal/boottime"
	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/sink"
)

// shutdownGrace is how long writes may continue after the signal to stop.
const shutdownGrace = 2 * time.Second

// maxStoredAge is how old the stored checkpoint may be, as far as this process knows, when
// documents are written: another process may have written and cleaned them up since.
const maxStoredAge = time.Second

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
	// This comes before the age of the stored checkpoint is checked, which must be recent when the first document is written.
	p.findActors(ctx, &o)
	ctx, cancel := retry.Outlasting(ctx, shutdownGrace)
	defer cancel()
	if err := p.recreateCollections(ctx); err != nil {
		return err
	}
	docs, err := p.unpublished(ctx, o.docs)
	if err != nil {
		return err
	}
	if err := p.writer.write(ctx, docs, p.unpublished); err != nil {
		return err
	}
	err = p.writer.retryUntilDone(ctx, sink.Catalog, func(ctx context.Context) error { return p.Catalog.Save(ctx, o.versions) })
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

// unpublished returns the documents that the stored checkpoint has not passed: the others may
// have been processed and cleaned up since. It reads the checkpoint if what is known of it is
// older than maxStoredAge.
func (p *Pipeline) unpublished(ctx context.Context, docs []notification.Document) ([]notification.Document, error) {
	stored, recent := p.loaded.recent(boottime.Now())
	var err error
	if recent {
		err = p.checkCompared(stored)
	} else {
		stored, err = p.stored(ctx)
	}
	if err != nil || stored.Inclusive {
		return docs, err
	}
	return after(docs, stored.Position.OpTime), nil
}

// stored reads the checkpoint again, since another process may have advanced it. It returns
// errStoredChanged if the catalog was compared since.
func (p *Pipeline) stored(ctx context.Context) (checkpoint.Checkpoint, error) {
	stored, err := p.load(ctx)
	if err != nil {
		return stored, err
	}
	return stored, p.checkCompared(stored)
}

func (p *Pipeline) checkCompared(stored checkpoint.Checkpoint) error {
	switch {
	case stored.Pending != nil:
		return errStoredChanged
	case stored.Compared.OpTime != p.compared:
		p.compared = stored.Compared.OpTime
		return errStoredChanged
	}
	return nil
}

// loaded is a checkpoint as it was stored at a time.
type loaded struct {
	checkpoint checkpoint.Checkpoint
	// at is a time of boottime, before the command was sent; zero if it is not known.
	at time.Duration
}

// recent returns the checkpoint if it is known to be at most maxStoredAge old at a time of
// boottime.
func (l loaded) recent(now time.Duration) (checkpoint.Checkpoint, bool) {
	return l.checkpoint, l.at > 0 && now > 0 && now-l.at <= maxStoredAge
}

// load reads the checkpoint and recreates it if it was deleted. It returns a
// *config.Error if it belongs to another replica set.
func (p *Pipeline) load(ctx context.Context) (checkpoint.Checkpoint, error) {
	var read loaded
	err := p.writer.retryUntilDone(ctx, sink.Checkpoint, func(ctx context.Context) (err error) {
		read.at = boottime.Now()
		read.checkpoint, err = p.restoreCheckpoint(ctx)
		return err
	})
	if err == nil && isForeign(read.checkpoint, p.replicaSetID) {
		err = foreignCheckpointError(read.checkpoint)
	}
	if err == nil {
		p.loaded = read
	}
	return read.checkpoint, err
}

// after drops the documents at or below an optime.
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
	var saved loaded
	err := p.writer.retryUntilDone(ctx, sink.Checkpoint, func(ctx context.Context) (err error) {
		saved.at = boottime.Now()
		saved.checkpoint, err = p.Checkpoints.Advance(ctx, at, p.replicaSetID)
		if errors.Is(err, checkpoint.ErrMissing) {
			if _, err = p.restoreCheckpoint(ctx); err == nil {
				saved.checkpoint, err = p.Checkpoints.Advance(ctx, at, p.replicaSetID)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if isForeign(saved.checkpoint, p.replicaSetID) {
		return foreignCheckpointError(saved.checkpoint)
	}
	p.loaded = saved
	p.recordSaved(saved.checkpoint.Position.OpTime)
	return nil
}

func (p *Pipeline) recordSaved(stored oplog.OpTime) {
	p.saved, p.savedAt = stored, time.Now()
	p.Metrics.Checkpoint.Set(float64(stored.TS.T))
	p.Metrics.Headroom.SetCheckpoint(stored.TS.T)
}
