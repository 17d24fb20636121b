package pipeline

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/sink"
)

// noteOwn sees that a collection of ddltail's own was dropped: the one change of them
// that is told.
func (p *Pipeline) noteOwn(c detector.Change) {
	if c.Operation == detector.DropCollection && slices.Contains(p.Own, c.Namespace()) {
		p.ownDropped = true
	}
}

// makeAgain makes what was dropped, before the drop is told into it. The catalog counts
// as not listed until listAgain has done so, even if the process ends between.
func (p *Pipeline) makeAgain(ctx context.Context) error {
	if !p.ownDropped {
		return nil
	}
	p.Log.Warn("collections of ddltail's own were dropped: they are made again")
	return p.insist(ctx, "checkpoint", func(ctx context.Context) error {
		if err := p.Setup(ctx); err != nil {
			return err
		}
		if _, err := p.restoreCheckpoint(ctx); err != nil {
			return err
		}
		return p.Checkpoints.SetBaseline(ctx, oplog.OpTime{})
	})
}

// Setup makes the collections of ddltail's own and their indexes; again is no error.
func (p *Pipeline) Setup(ctx context.Context) error {
	if err := p.Checkpoints.Setup(ctx); err != nil {
		return err
	}
	if err := p.Catalog.Setup(ctx); err != nil {
		return err
	}
	if slices.ContainsFunc(p.Routes, func(r Route) bool { return r.Sink.Name() == sink.HistoryName }) {
		if err := sink.HistorySetup(ctx, p.Database); err != nil {
			return err
		}
	}
	if !p.Queue {
		return nil
	}
	return sink.Setup(ctx, p.Database)
}

// restoreCheckpoint makes a checkpoint that was deleted under this process again, where
// it is: nothing has been lost.
func (p *Pipeline) restoreCheckpoint(ctx context.Context) (checkpoint.Checkpoint, error) {
	stored, ok, err := p.Checkpoints.Load(ctx)
	if err != nil || ok {
		return stored, err
	}
	p.Log.Warn("the stored checkpoint is gone: it is made again", zap.Stringer("position", p.position))
	first := p.First
	first.Position, first.Inclusive, first.ReplicaSetID, first.Began = p.position, p.inclusive, p.set, p.began
	if stored, err = p.Checkpoints.Create(ctx, first, p.Queue); err != nil {
		return stored, err
	}
	return stored, p.Checkpoints.SetBaseline(ctx, p.baseline)
}

// listAgain takes the catalog again, where the stored one was dropped. What this
// process knows holds until the moment of the listing.
func (p *Pipeline) listAgain(ctx context.Context, m oplog.Member) error {
	if !p.ownDropped {
		return nil
	}
	listed, err := p.takeBaseline(ctx, m)
	if err != nil {
		return err
	}
	for _, v := range listed.Versions {
		p.known.Expect(v)
	}
	p.ownDropped = false
	return nil
}
