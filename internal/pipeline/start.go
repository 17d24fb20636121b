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
)

// Prepare finds the stored checkpoint, or decides where a first run begins and
// stores that, before anything else of ddltail's own is written. It is safe to
// repeat.
func (p *Pipeline) Prepare(ctx context.Context, view replicaset.View) error {
	stored, ok, err := p.Checkpoints.Load(ctx)
	if err != nil {
		return err
	}
	if !ok {
		if stored, err = p.createCheckpoint(ctx, view); err != nil {
			return err
		}
	} else if err := p.rewire(ctx, stored); err != nil {
		return err
	}
	p.position, p.inclusive = stored.Position, stored.Inclusive
	p.noteSaved(stored.Position)
	if stored.Baseline.IsZero() {
		if err := p.takeBaseline(ctx, view); err != nil {
			return err
		}
	}
	p.known, err = p.Catalog.Load(ctx, p.before())
	return err
}

// before is the moment whose catalog the next entry sees.
func (p *Pipeline) before() bson.Timestamp {
	at := p.position.TS
	if p.inclusive && at.I > 0 {
		at.I--
	}
	return at
}

// takeBaseline lists what the server has, for a name that never did.
func (p *Pipeline) takeBaseline(ctx context.Context, view replicaset.View) error {
	m, err := p.connect(ctx, view)
	if err != nil {
		return err
	}
	defer m.close()
	began := time.Now()
	versions, at, err := catalog.Baseline{Detector: p.Detector, Watch: p.Watch, Log: p.Log}.Take(ctx, m.Member)
	if err != nil {
		return explainListing(err, p.Seeds.PathIsAuthSource)
	}
	known, err := p.Catalog.Load(ctx, at.TS)
	if err != nil {
		return err
	}
	if err := p.Catalog.Save(ctx, append(versions, catalog.Gone(known, versions, at)...)); err != nil {
		return err
	}
	p.Log.Info("took the catalog", zap.Int("namespaces", len(versions)), zap.Stringer("at", at),
		zap.Duration("in", time.Since(began).Round(time.Millisecond)))
	return p.Checkpoints.SetBaseline(ctx, at)
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

func (p *Pipeline) createCheckpoint(ctx context.Context, view replicaset.View) (checkpoint.Checkpoint, error) {
	m, err := p.connect(ctx, view)
	if err != nil {
		return checkpoint.Checkpoint{}, err
	}
	defer m.close()

	first := p.First
	if first.Position, first.Inclusive, err = p.firstPosition(ctx, m.Member); err != nil {
		return checkpoint.Checkpoint{}, Explain(err, p.Seeds.PathIsAuthSource)
	}
	if first.ReplicaSetID, err = m.ReplicaSetID(ctx); err != nil {
		p.Log.Debug("the replica set's id is not known", zap.Error(err))
	}
	stored, err := p.Checkpoints.Create(ctx, first, p.Queue)
	if err != nil {
		return checkpoint.Checkpoint{}, queueTaken(err)
	}
	p.Log.Info("first run", zap.Stringer("position", stored.Position), zap.Time("time", stored.Position.Time()))
	return stored, nil
}

// firstPosition is where START says that a first run begins, and whether the entry
// there is still to be told.
func (p *Pipeline) firstPosition(ctx context.Context, m oplog.Member) (oplog.OpTime, bool, error) {
	head, err := m.Head(ctx)
	if err != nil {
		return oplog.OpTime{}, false, err
	}
	oldest, err := m.Oldest(ctx)
	if err != nil {
		return oplog.OpTime{}, false, err
	}
	switch {
	case p.Start.Oldest:
		return oldest.OpTime, true, nil
	case p.Start.At.IsZero():
		return head, false, nil
	case p.Start.At.Before(oldest.OpTime.Time()):
		p.Log.Warn("START lies before the oldest entry: beginning there",
			zap.Time("start", p.Start.At), zap.Time("oldest", oldest.OpTime.Time()))
		return oldest.OpTime, true, nil
	}
	first, ok, err := m.From(ctx, bson.Timestamp{T: uint32(p.Start.At.Unix())}, head.TS)
	if err != nil || !ok {
		return head, false, err
	}
	return first.OpTime, true, nil
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
		if !sleep(ctx, time.Second) {
			return ctx.Err()
		}
	}
}
