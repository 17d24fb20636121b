package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

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
	return nil
}

func (p *Pipeline) createCheckpoint(ctx context.Context, view replicaset.View) (checkpoint.Checkpoint, error) {
	candidates := view.Candidates(p.ReadPreference)
	if len(candidates) == 0 {
		return checkpoint.Checkpoint{}, fmt.Errorf("no member of %s fits the read preference %s: %w",
			view.SetName, p.ReadPreference, view.Reason())
	}
	client, err := replicaset.Connect(ctx, p.Seeds.Options, candidates[0].Host)
	if err != nil {
		return checkpoint.Checkpoint{}, Explain(err, p.Seeds.PathIsAuthSource)
	}
	m := member{oplog.Member{Host: candidates[0].Host, Client: client}}
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
		case isConfiguration(err) || ctx.Err() != nil:
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("gave up after %s: %w", limit, err)
		}
		if text := err.Error(); text != said {
			said = text
			log.Info("waiting", zap.Duration("at_most", time.Until(deadline).Round(time.Second)), zap.String("for", text))
		}
		if !sleep(ctx, time.Second) {
			return ctx.Err()
		}
	}
}
