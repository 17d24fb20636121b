package pipeline

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/usererror"
)

// noteOwnRemoved records that one of ddltail's own collections was dropped or renamed. These are
// the only changes of own collections that are reported.
func (p *Pipeline) noteOwnRemoved(c notification.Change) {
	if c.Operation.RemovesCollection() && slices.Contains(p.Own, c.Namespace()) {
		p.ownRemoved = true
	}
}

// recreateCollections recreates own collections that were dropped or renamed, before the change
// is written to them. The position is stored first: without it, a process that starts now
// finds only that the checkpoint was lost. The baseline remains unset until retakeSnapshot has
// run, even if the process ends in between.
func (p *Pipeline) recreateCollections(ctx context.Context) error {
	if !p.ownRemoved {
		return nil
	}
	p.Log.Warn("own collections were dropped or renamed; recreating them")
	p.loaded = loaded{}
	return p.writer.retryUntilDone(ctx, sink.Checkpoint, func(ctx context.Context) error {
		if err := p.restorePosition(ctx); err != nil {
			return err
		}
		if err := p.Setup(ctx); err != nil {
			return err
		}
		return p.Checkpoints.SetBaseline(ctx, oplog.OpTime{})
	})
}

// restorePosition stores the position at once, if the checkpoint is missing or an old one was
// renamed back.
func (p *Pipeline) restorePosition(ctx context.Context) error {
	if _, err := p.restoreCheckpoint(ctx); err != nil || p.inclusive {
		return err
	}
	_, err := p.Checkpoints.Advance(ctx, p.position, p.replicaSetID)
	return err
}

// Setup creates ddltail's own collections and their indexes, those on collections with
// documents in the background, and sets up the sinks. It is idempotent.
func (p *Pipeline) Setup(ctx context.Context) error {
	if err := p.Checkpoints.Setup(ctx, p.indexes.Ensure); err != nil {
		return err
	}
	if err := p.Catalog.Setup(ctx, p.indexes.Ensure); err != nil {
		return err
	}
	own := sink.Own{Database: p.Database, Indexes: p.indexes.Ensure, OnConflict: p.conflict}
	for _, route := range p.Routes {
		if err := route.Sink.Setup(ctx, own); err != nil {
			return err
		}
	}
	if p.Actors == nil {
		return nil
	}
	return store.SetupActors(ctx, p.Database)
}

// restoreCheckpoint reads the checkpoint. If it was deleted while this process runs, it is
// recreated at the current position, so that nothing is lost.
func (p *Pipeline) restoreCheckpoint(ctx context.Context) (checkpoint.Checkpoint, error) {
	stored, ok, err := p.Checkpoints.Load(ctx)
	if err != nil || ok {
		return stored, err
	}
	p.Log.Warn("stored checkpoint is missing; recreating it", zap.Stringer("position", p.position))
	first := p.First
	first.Position, first.Inclusive, first.ReplicaSetID, first.Began = p.position, p.inclusive, p.replicaSetID, p.requestedStart
	first.Lost, first.Replaced = p.checkpointLost, p.replicaSetReplaced
	first.Unlisted = storedUnlisted(p.unlisted.parts)
	if !p.compared.IsZero() {
		// Otherwise this process would assume that another one has compared since.
		first.Compared = oplog.Moment{OpTime: p.compared, Wall: p.compared.Time()}
	}
	if stored, err = p.Checkpoints.Create(ctx, first, p.Queue); err != nil {
		return stored, err
	}
	return stored, p.Checkpoints.SetBaseline(ctx, p.baseline)
}

// retakeSnapshot takes a new catalog snapshot after own collections were dropped or renamed:
// the stored catalog may have been dropped, and a renamed collection is from now on watched
// like any other. The catalog in memory is valid until the snapshot's optime. Without the privileges to list, which only a first run
// requires, the catalog in memory is stored.
func (p *Pipeline) retakeSnapshot(ctx context.Context, m oplog.Member) error {
	if !p.ownRemoved {
		return nil
	}
	listed, err := p.takeSnapshot(ctx, m)
	switch {
	case privileges.IsUnauthorized(err):
		p.warnListing("the known catalog is stored again", err)
		err = p.saveKnown(ctx)
	case err != nil:
		err = usererror.Listing(err, p.Seeds.PathIsAuthSource)
	default:
		err = p.saveSnapshot(ctx, listed)
	}
	if err != nil {
		return err
	}
	for _, v := range listed.Versions {
		p.known.Expect(v)
	}
	p.ownRemoved = false
	return nil
}

// saveKnown stores the catalog in memory as the baseline.
func (p *Pipeline) saveKnown(ctx context.Context) error {
	versions := p.known.All()
	for i := range versions {
		versions[i].OpTime, versions[i].Wall = p.position.OpTime, p.position.Wall
	}
	if err := p.Catalog.SaveListed(ctx, versions); err != nil {
		return err
	}
	return p.setBaseline(ctx, p.position.OpTime)
}
