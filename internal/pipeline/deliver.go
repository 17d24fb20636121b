package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/sink"
)

// sinkTimeout bounds one attempt to write; a slower one is repeated, which does
// no harm.
const sinkTimeout = 30 * time.Second

// grace is how long writes may go on after the process was asked to stop.
const grace = 2 * time.Second

// errMoved says that another process has changed what is stored: what this one knows
// is to be read again.
var errMoved = errors.New("another ddltail has compared the catalog")

// tell takes documents to every sink, in the sinks' order, then versions to the
// catalog, and then moves the checkpoint to the entry that they end with.
// A sink that is away holds the position: it is tried again until it takes them.
//
// Asked to stop, it finishes what it has begun if that takes no longer than grace.
func (p *Pipeline) tell(ctx context.Context, o outcome) error {
	if o.size() == 0 {
		p.reached(o.upTo)
		p.detected = p.detected && o.upTo.IsZero()
		return nil
	}
	ctx, cancel := retry.Outlasting(ctx, grace)
	defer cancel()
	if err := p.makeAgain(ctx); err != nil {
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
	if err := p.write(ctx, docs, nil); err != nil {
		return err
	}
	err = p.insist(ctx, "catalog", func(ctx context.Context) error { return p.Catalog.Save(ctx, o.versions) })
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
	p.reached(o.upTo)
	p.detected = false
	return nil
}

// stored reads the checkpoint again before each write: another process may have been
// faster. The error is errMoved where it has changed what this one builds upon.
func (p *Pipeline) stored(ctx context.Context) (checkpoint.Checkpoint, error) {
	stored, err := p.load(ctx)
	switch {
	case err != nil:
		return stored, err
	case stored.Pending != nil:
		return stored, errMoved
	case stored.Compared.OpTime != p.compared:
		p.compared = stored.Compared.OpTime
		return stored, errMoved
	}
	return stored, nil
}

// load reads the checkpoint, which is made again if it is gone. The error is a
// *config.Error where it is another replica set's.
func (p *Pipeline) load(ctx context.Context) (checkpoint.Checkpoint, error) {
	var stored checkpoint.Checkpoint
	err := p.insist(ctx, "checkpoint", func(ctx context.Context) (err error) {
		stored, err = p.restoreCheckpoint(ctx)
		return err
	})
	if err == nil && p.foreign(stored) {
		err = anotherSet(stored)
	}
	return stored, err
}

// write takes documents through the filters to every sink in turn. Before each it
// asks whether they are still to be written, if there is something to ask.
func (p *Pipeline) write(ctx context.Context, docs []sink.Document, still func(context.Context) error) error {
	for _, route := range p.Routes {
		passed := route.pass(docs)
		if len(passed) == 0 {
			continue
		}
		if still != nil {
			if err := still(ctx); err != nil {
				return err
			}
		}
		err := p.insist(ctx, route.Sink.Name(), func(ctx context.Context) error {
			return route.Sink.Write(ctx, passed)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// after leaves out what the stored checkpoint says is told: its documents may have
// been processed and cleaned up since.
func after(docs []sink.Document, stored oplog.OpTime) []sink.Document {
	for i, d := range docs {
		if d.Change.OpTime.After(stored) {
			return docs[i:]
		}
	}
	return nil
}

func (r Route) pass(docs []sink.Document) []sink.Document {
	passed := make([]sink.Document, 0, len(docs))
	for _, d := range docs {
		if r.Filter.Passes(d.Change) {
			passed = append(passed, d)
		}
	}
	return passed
}

// save moves the stored checkpoint, and makes it anew where somebody has deleted it.
func (p *Pipeline) save(ctx context.Context, at oplog.Moment) error {
	var stored checkpoint.Checkpoint
	err := p.insist(ctx, "checkpoint", func(ctx context.Context) (err error) {
		stored, err = p.Checkpoints.Advance(ctx, at, p.set)
		if errors.Is(err, checkpoint.ErrMissing) {
			if _, err = p.restoreCheckpoint(ctx); err == nil {
				stored, err = p.Checkpoints.Advance(ctx, at, p.set)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if p.foreign(stored) {
		return anotherSet(stored)
	}
	p.noteSaved(stored.Position.OpTime)
	return nil
}

func (p *Pipeline) noteSaved(stored oplog.OpTime) {
	p.saved, p.savedAt = stored, time.Now()
	p.Metrics.Checkpoint.Set(float64(stored.TS.T))
}

// insist tries until it works or the context ends, and lets the world know that
// something is held up.
func (p *Pipeline) insist(ctx context.Context, name string, try func(context.Context) error) error {
	pause := retry.NewBackOff(longestWait)
	for {
		attempt, cancel := context.WithTimeout(ctx, sinkTimeout)
		err := try(attempt)
		cancel()
		if err == nil {
			p.Status.taken(name)
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("stopped while writing to %s: %w", name, ctx.Err())
		}
		wait := pause.NextBackOff()
		p.Metrics.SinkErrors.WithLabelValues(name).Inc()
		p.Status.held(name, err)
		p.Log.Warn("a sink does not take what it is given; the position is held",
			zap.String("sink", name), zap.Duration("again_in", wait), zap.Error(err))
		if !retry.Sleep(ctx, wait) {
			return fmt.Errorf("stopped while writing to %s: %w", name, ctx.Err())
		}
	}
}
