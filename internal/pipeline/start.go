package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/sink"
)

// Prepare finds the stored checkpoint, or decides where a first run begins and
// stores that, before anything else of ddltail's own is written. It is safe to
// repeat.
func (p *Pipeline) Prepare(ctx context.Context, view replicaset.View) error {
	m, err := p.connect(ctx, view)
	if err != nil {
		return err
	}
	defer m.close()
	p.holder = bson.NewObjectID().Hex()
	p.set = p.setOf(ctx, m.Member)
	stored, ok, err := p.Checkpoints.Load(ctx)
	switch {
	case err != nil:
		return err
	case !ok:
		if stored, err = p.createCheckpoint(ctx, m.Member); err != nil {
			return err
		}
	default:
		if err := p.rewire(ctx, stored); err != nil {
			return err
		}
		if err := p.claim(ctx, stored); err != nil {
			return err
		}
	}
	if err := p.adopt(ctx, stored); err != nil {
		return err
	}
	p.compareAt = p.firstComparison(stored)
	if !stored.Baseline.IsZero() || stored.Lost {
		return nil
	}
	if _, err := p.takeBaseline(ctx, m.Member); err != nil {
		return err
	}
	return p.adoptCatalog(ctx)
}

// firstComparison is when the catalog is compared for the first time in this run.
func (p *Pipeline) firstComparison(stored checkpoint.Checkpoint) time.Time {
	switch {
	case p.Reconcile.AtStart:
		return time.Now()
	case p.Reconcile.Every > 0 && !stored.Compared.IsZero():
		return stored.Compared.Wall.Add(p.Reconcile.Every)
	}
	return p.nextComparison(time.Now())
}

// before is the moment whose catalog the next entry sees.
func (p *Pipeline) before() bson.Timestamp {
	at := p.position.TS
	if p.inclusive && at.I > 0 {
		at.I--
	}
	return at
}

// takeBaseline lists what the server has, for a name that never did. What was known
// before comes to nothing where it is not listed.
func (p *Pipeline) takeBaseline(ctx context.Context, m oplog.Member) (catalog.Listed, error) {
	began := time.Now()
	listed, err := catalog.Baseline{Detector: p.Detector, Watch: p.Watch, Log: p.Log}.Take(ctx, m)
	if err != nil {
		return listed, explainListing(err, p.Seeds.PathIsAuthSource)
	}
	at := listed.At.OpTime
	known, err := p.Catalog.Load(ctx, at.TS)
	if err != nil {
		return listed, err
	}
	if err := p.Catalog.SaveListed(ctx, append(listed.Versions, catalog.Gone(known, listed)...)); err != nil {
		return listed, err
	}
	p.Log.Info("took the catalog", zap.Int("namespaces", len(listed.Versions)), zap.Stringer("at", at),
		zap.Duration("in", time.Since(began).Round(time.Millisecond)))
	p.baseline = at
	return listed, p.Checkpoints.SetBaseline(ctx, at)
}

// connect opens the member that the read preference puts first.
func (p *Pipeline) connect(ctx context.Context, view replicaset.View) (member, error) {
	candidates := view.Candidates(p.ReadPreference)
	if len(candidates) == 0 {
		return member{}, fmt.Errorf("no member of %s fits the read preference %s: %w",
			view.SetName, p.ReadPreference, view.Reason())
	}
	client, err := replicaset.Connect(ctx, p.Seeds.Options, candidates[0].Host)
	if err != nil {
		return member{}, Explain(err, p.Seeds.PathIsAuthSource)
	}
	return member{oplog.Member{Host: candidates[0].Host, Client: client}}, nil
}

// createCheckpoint stores where this name begins. Where the source has history or a
// catalog and no checkpoint at all, that was lost: it begins where those end.
func (p *Pipeline) createCheckpoint(ctx context.Context, m oplog.Member) (checkpoint.Checkpoint, error) {
	first := p.First
	first.ReplicaSetID = p.set
	presumed, err := p.presumedPosition(ctx)
	if err != nil {
		return checkpoint.Checkpoint{}, err
	}
	switch {
	case !presumed.at.IsZero():
		first.Position, first.Inclusive, first.Lost = presumed.at, presumed.inclusive, true
		p.Log.Warn("the checkpoint is gone, and there is history: going on from its end", zap.Stringer("position", presumed.at))
	default:
		if first.Position, first.Inclusive, err = p.firstPosition(ctx, m); err != nil {
			return checkpoint.Checkpoint{}, Explain(err, p.Seeds.PathIsAuthSource)
		}
		if first.Inclusive {
			first.Began = first.Position.OpTime
		}
	}
	stored, err := p.Checkpoints.Create(ctx, first, p.Queue)
	if err != nil {
		return checkpoint.Checkpoint{}, queueTaken(err)
	}
	p.Log.Info("first run", zap.Stringer("position", stored.Position), zap.Time("time", stored.Position.Time()))
	return stored, nil
}

// presumption is a position that follows from what else is stored.
type presumption struct {
	at        oplog.Moment
	inclusive bool
}

// presumedPosition is zero where nothing of this source is stored, or where another of
// its names still has a checkpoint. The catalog is written last, so that all is told up
// to its newest version; what only the history has, from there on, may not be.
func (p *Pipeline) presumedPosition(ctx context.Context) (presumption, error) {
	others, err := p.Checkpoints.OfSource(ctx, p.First.Source)
	if err != nil || others {
		return presumption{}, err
	}
	known, err := p.Catalog.Newest(ctx)
	if err != nil {
		return presumption{}, err
	}
	if known.IsZero() {
		told, err := sink.NewestPublished(ctx, p.Database, p.First.Source)
		return presumption{at: told, inclusive: true}, err
	}
	told, err := sink.FirstPublishedAfter(ctx, p.Database, p.First.Source, known.OpTime)
	if err != nil || told.IsZero() {
		return presumption{at: known}, err
	}
	return presumption{at: told, inclusive: true}, nil
}

// firstPosition is where START says that a first run begins, and whether the entry
// there is still to be told.
func (p *Pipeline) firstPosition(ctx context.Context, m oplog.Member) (oplog.Moment, bool, error) {
	head, err := m.Head(ctx)
	if err != nil {
		return oplog.Moment{}, false, err
	}
	newest, ok, err := m.At(ctx, head.TS)
	if err != nil {
		return oplog.Moment{}, false, err
	}
	now := oplog.Moment{OpTime: head, Wall: head.Time()}
	if ok {
		now.Wall = newest.Wall
	}
	oldest, err := m.Oldest(ctx)
	if err != nil {
		return oplog.Moment{}, false, err
	}
	switch {
	case p.Start.Oldest:
		return oplog.Moment{OpTime: oldest.OpTime, Wall: oldest.Wall}, true, nil
	case p.Start.At.IsZero():
		return now, false, nil
	case p.Start.At.Before(oldest.OpTime.Time()):
		p.Log.Warn("START lies before the oldest entry: beginning there",
			zap.Time("start", p.Start.At), zap.Time("oldest", oldest.OpTime.Time()))
		return oplog.Moment{OpTime: oldest.OpTime, Wall: oldest.Wall}, true, nil
	}
	first, ok, err := m.From(ctx, bson.Timestamp{T: uint32(p.Start.At.Unix())}, head.TS)
	if err != nil || !ok {
		return now, false, err
	}
	return oplog.Moment{OpTime: first.OpTime, Wall: first.Wall}, true, nil
}

// rewire compares what this process is wired to with what the last one was.
func (p *Pipeline) rewire(ctx context.Context, stored checkpoint.Checkpoint) error {
	if equalWiring(stored.Wiring, p.First.Wiring) {
		return nil
	}
	p.Log.Warn("filters or sinks differ from those of the last run under this name",
		zap.Any("recorded", stored.Wiring), zap.Any("now", p.First.Wiring))
	return queueTaken(p.Checkpoints.Rewire(ctx, p.First.Wiring, p.Queue))
}

func equalWiring(a, b checkpoint.Wiring) bool {
	return slices.Equal(a.Sinks, b.Sinks) && slices.Equal(a.Namespaces, b.Namespaces) &&
		slices.Equal(a.ExcludeNamespaces, b.ExcludeNamespaces) && slices.Equal(a.Operations, b.Operations)
}

func queueTaken(err error) error {
	if errors.Is(err, checkpoint.ErrQueueTaken) {
		return &config.Error{Reason: "DDLTAIL_NAME: " + err.Error(),
			Remedy: "give it another DDLTAIL_DATABASE; to hand the queue over, delete the old checkpoint document"}
	}
	return err
}

// Await tries a step of the start until it works, where waiting may help, and says
// what it waits for. It gives up after the limit, and at once on a *config.Error.
func Await(ctx context.Context, log *zap.Logger, limit time.Duration, step func(context.Context) error) error {
	deadline := time.Now().Add(limit)
	var said string
	for {
		err := step(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			// What it was stopped in the midst of has failed for that reason.
			return ctx.Err()
		case isConfiguration(err):
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("gave up after %s: %w", limit, err)
		}
		if text := strings.ReplaceAll(err.Error(), "\n", "; "); text != said {
			said = text
			log.Info("waiting", zap.Duration("at_most", time.Until(deadline).Round(time.Second)), zap.String("for", text))
		}
		if !retry.Sleep(ctx, time.Second) {
			return ctx.Err()
		}
	}
}
