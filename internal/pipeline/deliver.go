package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/sink"
)

// sinkTimeout bounds one attempt to write; a slower one is repeated, which does
// no harm.
const sinkTimeout = 30 * time.Second

// grace is how long writes may go on after the process was asked to stop.
const grace = 2 * time.Second

// tell takes documents to every sink, in the sinks' order, then versions to the
// catalog, and then moves the checkpoint to the optime of the entry they end with.
// A sink that is away holds the position: it is tried again until it takes them.
//
// Asked to stop, it finishes what it has begun if that takes no longer than grace.
func (p *Pipeline) tell(ctx context.Context, o outcome, upTo oplog.OpTime) error {
	ctx, cancel := outlasting(ctx, grace)
	defer cancel()
	var stored oplog.OpTime
	err := p.insist(ctx, "checkpoint", func(ctx context.Context) error {
		c, ok, err := p.Checkpoints.Load(ctx)
		if err == nil && ok && !c.Inclusive {
			stored = c.Position
		}
		return err
	})
	if err != nil {
		return err
	}
	docs := after(o.docs, stored)
	for _, route := range p.Routes {
		passed := route.pass(docs)
		if len(passed) == 0 {
			continue
		}
		err := p.insist(ctx, route.Sink.Name(), func(ctx context.Context) error {
			return route.Sink.Write(ctx, passed)
		})
		if err != nil {
			return err
		}
	}
	err = p.insist(ctx, "catalog", func(ctx context.Context) error { return p.Catalog.Save(ctx, o.versions) })
	if err != nil {
		return err
	}
	now := time.Now()
	for _, d := range docs {
		p.Metrics.Latency.Observe(now.Sub(d.Change.Wall).Seconds())
	}
	return p.save(ctx, upTo)
}

// outlasting gives a context that ends some time after the one it comes from.
func outlasting(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
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
func (p *Pipeline) save(ctx context.Context, at oplog.OpTime) error {
	return p.insist(ctx, "checkpoint", func(ctx context.Context) error {
		stored, err := p.Checkpoints.Advance(ctx, at)
		if errors.Is(err, checkpoint.ErrMissing) {
			p.Log.Warn("the stored checkpoint is gone: it is made again", zap.Stringer("position", at))
			first := p.First
			first.Position, first.Inclusive = at, false
			var again checkpoint.Checkpoint
			again, err = p.Checkpoints.Create(ctx, first, p.Queue)
			stored = again.Position
		}
		if err != nil {
			return err
		}
		p.noteSaved(stored)
		return nil
	})
}

func (p *Pipeline) noteSaved(stored oplog.OpTime) {
	p.saved, p.savedAt = stored, time.Now()
	p.Metrics.Checkpoint.Set(float64(stored.TS.T))
}

// insist tries until it works or the context ends, and lets the world know that
// something is held up.
func (p *Pipeline) insist(ctx context.Context, name string, try func(context.Context) error) error {
	pause := newBackOff()
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
		if !sleep(ctx, wait) {
			return fmt.Errorf("stopped while writing to %s: %w", name, ctx.Err())
		}
	}
}
