package retention

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/store"
)

// maxRemoved bounds how many documents are deleted per batch.
const maxRemoved = 1000

// Removed is what a run of retention removed.
type Removed struct {
	Changes, Versions int
	// Horizon is the time from which the history is complete; zero if nothing could
	// be removed.
	Horizon time.Time
	// ActorsKept is why actors that are stored separately from their changes were not removed.
	ActorsKept error
}

// PruneHistory removes the history of a source that is older than ttl, and the versions that no
// query for a time within ttl needs: the version of each namespace in effect at the horizon
// is kept. The horizon is at or before every checkpoint of the source, so nothing is removed
// that a detector could need or write again.
func PruneHistory(ctx context.Context, db *mongo.Database, source string, ttl time.Duration) (Removed, error) {
	e, ok, err := findExpiry(ctx, db, source, time.Now().Add(-ttl))
	if err != nil || !ok {
		return Removed{}, err
	}
	// Record the horizon before deleting: history that may be incomplete must not be reported
	// as complete.
	if err := checkpoint.RaiseHorizon(ctx, db.Collection(store.Checkpoints), source, e.before); err != nil {
		return Removed{}, err
	}
	out := Removed{Horizon: e.before}
	for {
		n, err := e.removeVersions(ctx)
		out.Versions += n
		if err != nil {
			return out, err
		}
		// A drop is removed in the pass after that of the dropped version.
		if n == 0 {
			break
		}
	}
	err = e.removeChanges(ctx, &out)
	return out, err
}

// expiry selects the documents of a source that may be deleted.
type expiry struct {
	db     *mongo.Database
	source string
	// before and position bound it by clock and by oplog.
	before   time.Time
	position bson.Timestamp
	// end is the upper bound, in oplog order, of the versions in effect at the time before:
	// later versions were not in effect then, whatever their wall time.
	end catalog.End
}

// findExpiry returns false if no detector of the source has published anything yet.
func findExpiry(ctx context.Context, db *mongo.Database, source string, before time.Time) (expiry, bool, error) {
	names, err := checkpoint.OfSource(ctx, db.Collection(store.Checkpoints), source)
	if err != nil || len(names) == 0 {
		return expiry{}, false, err
	}
	oldest := slices.MinFunc(names, func(a, b checkpoint.Checkpoint) int { return a.Position.TS.Compare(b.Position.TS) })
	e := expiry{db: db, source: source, before: before.Truncate(time.Millisecond), position: oldest.Position.TS}
	if at := time.Unix(int64(e.position.T), 0); at.Before(e.before) {
		e.before = at
	}
	e.end, err = catalog.NewReader(db.Collection(store.Catalog)).End(ctx, source, e.before)
	return e, err == nil, err
}

// removeVersions removes versions that were superseded at the horizon, and drops whose
// earlier versions have all been removed.
func (e expiry) removeVersions(ctx context.Context) (int, error) {
	coll := e.db.Collection(store.Catalog)
	old := bson.D{
		{Key: "source", Value: e.source},
		{Key: "wall", Value: bson.D{{Key: "$lte", Value: e.before}}},
		{Key: "optime.ts", Value: bson.D{{Key: "$lt", Value: e.position}}},
	}
	if e.end != "" {
		old = append(old, bson.E{Key: "_id", Value: bson.D{{Key: "$lt", Value: string(e.end)}}})
	}
	cur, err := coll.Find(ctx, old, options.Find().SetSort(bson.D{{Key: "source", Value: 1}, {Key: "ns", Value: 1}, {Key: "optime.ts", Value: -1}}).
		SetProjection(bson.D{{Key: "ns", Value: 1}, {Key: "kind", Value: 1}}).SetAllowDiskUse(true))
	if err != nil {
		return 0, fmt.Errorf("read old versions: %w", err)
	}
	defer cur.Close(context.WithoutCancel(ctx))
	var s superseded
	removed := 0
	for more := true; more; {
		more = cur.Next(ctx)
		if more {
			if err := s.next(cur.Current); err != nil {
				return removed, err
			}
		} else {
			s.end()
		}
		if len(s.ids) >= maxRemoved || !more {
			n, err := remove(ctx, coll, s.ids)
			removed += n
			if err != nil {
				return removed, err
			}
			s.ids = nil
		}
	}
	if err := cur.Err(); err != nil {
		return removed, fmt.Errorf("read old versions: %w", err)
	}
	return removed, nil
}

// superseded iterates over versions, the newest of each namespace first, and collects
// those that may be deleted.
type superseded struct {
	ids []string
	// newest is the version in effect, of the current namespace.
	newest struct{ id, ns string }
	drop   bool
	alone  bool
}

func (s *superseded) next(raw bson.Raw) error {
	var v struct {
		ID   string `bson:"_id"`
		NS   string `bson:"ns"`
		Kind string `bson:"kind"`
	}
	if err := bson.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("decode an old version: %w", err)
	}
	if v.NS == s.newest.ns && s.newest.id != "" {
		s.alone = false
		s.ids = append(s.ids, v.ID)
		return nil
	}
	s.end()
	s.newest.id, s.newest.ns, s.drop, s.alone = v.ID, v.NS, v.Kind == "", true
	return nil
}

// end closes a namespace. A drop without an earlier version is not needed; it is removed last,
// because without it the version that it ended would be current again.
func (s *superseded) end() {
	if s.drop && s.alone {
		s.ids = append(s.ids, s.newest.id)
	}
	s.newest.id, s.drop = "", false
}

// removeChanges removes old changes. A change inferred from a comparison is kept while a
// version of that comparison is kept, because the output for the version refers to it.
func (e expiry) removeChanges(ctx context.Context, out *Removed) error {
	old := bson.D{
		{Key: "timestamp", Value: bson.D{{Key: "$lt", Value: notification.Timestamp(e.before)}}},
		notification.AllIDs(e.source).Filter(),
		{Key: "optime.ts", Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$gte", Value: e.position}}}}},
	}
	cur, err := e.db.Collection(store.History).Find(ctx, old, options.Find().SetProjection(bson.D{{Key: "source", Value: 1}, {Key: "wall", Value: 1}}))
	if err != nil {
		return fmt.Errorf("read old changes: %w", err)
	}
	defer cur.Close(context.WithoutCancel(ctx))
	needed := versionTimes{coll: e.db.Collection(store.Catalog), source: e.source, known: map[int64]bool{}}
	var ids []string
	for cur.Next(ctx) {
		var c struct {
			ID     string    `bson:"_id"`
			Source string    `bson:"source"`
			Wall   time.Time `bson:"wall"`
		}
		if err := cur.Decode(&c); err != nil {
			return fmt.Errorf("decode an old change: %w", err)
		}
		if c.Source == "snapshot" {
			keep, err := needed.contains(ctx, c.Wall)
			if err != nil {
				return err
			}
			if keep {
				continue
			}
		}
		if ids = append(ids, c.ID); len(ids) >= maxRemoved {
			if err := removeWithActors(ctx, e.db, ids, out); err != nil {
				return err
			}
			ids = nil
		}
	}
	if err := cur.Err(); err != nil {
		return fmt.Errorf("read old changes: %w", err)
	}
	return removeWithActors(ctx, e.db, ids, out)
}

// versionTimes checks and caches whether a source has versions with a wall time.
type versionTimes struct {
	coll   *mongo.Collection
	source string
	known  map[int64]bool
}

func (w versionTimes) contains(ctx context.Context, wall time.Time) (bool, error) {
	if known, ok := w.known[wall.UnixMilli()]; ok {
		return known, nil
	}
	n, err := w.coll.CountDocuments(ctx, bson.D{{Key: "source", Value: w.source}, {Key: "wall", Value: wall}}, options.Count().SetLimit(1))
	if err != nil {
		return false, fmt.Errorf("find the versions of %s: %w", wall.Format(time.RFC3339Nano), err)
	}
	w.known[wall.UnixMilli()] = n > 0
	return n > 0, nil
}

func remove(ctx context.Context, coll *mongo.Collection, ids []string) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	res, err := coll.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
	if err != nil {
		return 0, fmt.Errorf("remove old documents of %s: %w", coll.Name(), err)
	}
	return int(res.DeletedCount), nil
}

// removeWithActors removes changes and the actors that are stored separately. The actors are removed first: an actor without its
// change would never be removed. Without the privilege to remove them, the actors are kept.
func removeWithActors(ctx context.Context, db *mongo.Database, ids []string, out *Removed) error {
	_, err := remove(ctx, db.Collection(store.Actors), ids)
	if store.Unauthorized(err) {
		out.ActorsKept, err = err, nil
	}
	if err != nil {
		return err
	}
	n, err := remove(ctx, db.Collection(store.History), ids)
	out.Changes += n
	return err
}
