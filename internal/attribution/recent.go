package attribution

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/retry"
)

const (
	// recentChunk is for how many recent notifications a search is registered at once. A process that is killed soon has found some.
	recentChunk = 100
	// recentTimeout bounds one attempt to read them.
	recentTimeout = time.Minute
)

// recent searches for the actors of notifications that were written shortly before this process started: by a process that was killed
// before it stored them, or by one that could read no log. New changes do not wait for it.
func (a *Attributor) recent(ctx context.Context, from oplog.Member) {
	ctx, cancel := context.WithTimeout(ctx, maxAge)
	defer cancel()
	var ids []idsAt
	a.untilRead(ctx, func(ctx context.Context) (err error) {
		ids, err = a.idsWithoutActor(ctx)
		return err
	})
	var drops Drops
	for chunk := range slices.Chunk(ids, recentChunk) {
		var units []oplog.Unit
		a.untilRead(ctx, func(ctx context.Context) (err error) {
			units, err = a.units(ctx, from, chunk)
			return err
		})
		if subjects := drops.subjects(units, chunk); len(subjects) > 0 {
			a.register(subjects, true)
		}
	}
}

// subjects returns the subjects of the units that could be read, with the _ids of their notifications.
func (d *Drops) subjects(units []oplog.Unit, ids []idsAt) []Subject {
	var subjects []Subject
	for i, unit := range units {
		if !unit.OpTime.IsZero() {
			subject := d.Subject(unit)
			subject.IDs = ids[i].ids
			subjects = append(subjects, subject)
		}
	}
	return subjects
}

// untilRead retries a step until it succeeds or the context ends: there may be no primary. The first failure is logged.
func (a *Attributor) untilRead(ctx context.Context, step func(context.Context) error) {
	pause := retry.NewBackOff(maxInterval)
	for logged := false; ctx.Err() == nil; logged = true {
		bounded, cancel := context.WithTimeout(ctx, recentTimeout)
		err := step(bounded)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		if !logged {
			a.Log.Warn("recent notifications without an actor cannot be read; retrying", zap.Error(err))
		}
		retry.Sleep(ctx, pause.NextBackOff())
	}
}

// units reads the entries of notifications; the unit of one that cannot be read has no optime.
func (a *Attributor) units(ctx context.Context, m oplog.Member, ids []idsAt) ([]oplog.Unit, error) {
	units := make([]oplog.Unit, len(ids))
	for i, of := range ids {
		unit, ok, err := unitAt(ctx, m, of.ts)
		if isLasting(err) {
			a.Log.Debug("no actor is searched for a recent entry", zap.Error(err))
			continue
		}
		if err != nil {
			return nil, err
		}
		if ok {
			units[i] = unit
		}
	}
	return units, nil
}

// unitAt returns the unit that an entry commits, and whether the entry is still in the oplog.
func unitAt(ctx context.Context, m oplog.Member, ts bson.Timestamp) (oplog.Unit, bool, error) {
	e, ok, err := m.Fetch(ctx, ts)
	if err != nil || !ok {
		return oplog.Unit{}, false, err
	}
	unit, err := oplog.Assemble(ctx, e, m)
	return unit, true, err
}

// isLasting reports whether reading an entry again gives the same error: it cannot be decoded, or the beginning of its transaction is no
// longer in the oplog.
func isLasting(err error) bool {
	var malformed *oplog.DecodeError
	var truncated *oplog.ChainError
	return errors.As(err, &malformed) || errors.As(err, &truncated)
}

// idsAt holds the _ids of the notifications of one optime.
type idsAt struct {
	ts  bson.Timestamp
	ids []string
}

func (a *Attributor) idsWithoutActor(ctx context.Context) ([]idsAt, error) {
	since := bson.Timestamp{T: uint32(time.Now().Add(-maxAge).Unix())} //nolint:gosec // until 2106
	found, err := idsOf(ctx, a.History, bson.D{
		notification.IDsOfKind(a.Source, notification.IDOplog).After(since).Filter(),
		{Key: "actor", Value: bson.D{{Key: "$exists", Value: false}}},
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	stored, err := idsOf(ctx, a.Actors, bson.D{notification.IDsOfKind(a.Source, notification.IDOplog).After(since).Filter()})
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(stored))
	for _, id := range stored {
		known[id] = true
	}
	var all []idsAt
	for _, text := range found {
		id, err := notification.ParseID(text)
		if err != nil || known[text] {
			continue
		}
		if n := len(all); n > 0 && all[n-1].ts == id.TS {
			all[n-1].ids = append(all[n-1].ids, text)
		} else {
			all = append(all, idsAt{id.TS, []string{text}})
		}
	}
	return all, nil
}

func idsOf(ctx context.Context, coll *mongo.Collection, filter bson.D) ([]string, error) {
	cursor, err := coll.Find(ctx, filter, options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}).
		SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(maxWaiting))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", coll.Name(), err)
	}
	var docs []struct {
		ID string `bson:"_id"`
	}
	if err := cursor.All(ctx, &docs); err != nil {
		return nil, fmt.Errorf("read %s: %w", coll.Name(), err)
	}
	ids := make([]string, len(docs))
	for i, d := range docs {
		ids[i] = d.ID
	}
	return ids, nil
}
