package history

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/store"
)

// Gaps returns every HISTORY_GAP of a source that overlaps an interval, in oplog order. If
// source is empty it returns those of all sources, one source after the other. A zero time
// means no bound.
func (r Reader) Gaps(ctx context.Context, source string, since, until time.Time) ([]Change, error) {
	filter := bson.D{{Key: "operation", Value: string(notification.HistoryGap)}}
	if source != "" {
		filter = append(filter, ofSource(source))
	}
	if !since.IsZero() {
		filter = append(filter, bson.E{Key: "to.wall", Value: bson.D{{Key: "$gte", Value: since}}})
	}
	if !until.IsZero() {
		filter = append(filter, bson.E{Key: "from.wall", Value: bson.D{{Key: "$lte", Value: until}}})
	}
	cur, err := r.changes().Find(ctx, filter, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, fmt.Errorf("read the gaps: %w", err)
	}
	var gaps []Change
	err = eachChange(ctx, cur, func(c Change) error {
		gaps = append(gaps, c)
		return nil
	})
	return gaps, err
}

// inference has the intervals of catalog versions that were inferred from a comparison.
type inference struct {
	gaps []Change
	// compared are the intervals of inferred changes, by namespace and time.
	compared map[compared]Interval
}

type compared struct {
	namespace string
	at        int64
}

func (r Reader) inference(ctx context.Context, source string, until time.Time) (inference, error) {
	gaps, err := r.Gaps(ctx, source, time.Time{}, until)
	if err != nil {
		return inference{}, err
	}
	inf := inference{gaps: gaps, compared: map[compared]Interval{}}
	cur, err := r.changes().Find(ctx, bson.D{
		notification.IDsOfKind(source, notification.IDSnapshot).Filter(),
		{Key: "wall", Value: bson.D{{Key: "$lte", Value: until}}},
	})
	if err != nil {
		return inference{}, fmt.Errorf("read the inferred changes: %w", err)
	}
	err = eachChange(ctx, cur, func(c Change) error {
		for _, ns := range []string{c.Namespace, c.To} {
			inf.compared[compared{ns, c.Wall.UnixMilli()}] = c.Inferred
		}
		return nil
	})
	return inf, err
}

// of returns the interval in which a version was created; none if it was read from the oplog.
// The versions of a gap have the wall time of its end, and positions just below it.
func (inf inference) of(v schema.Version) Interval {
	if span, ok := inf.compared[compared{v.Namespace.String(), v.Wall.UnixMilli()}]; ok {
		return span
	}
	for _, g := range inf.gaps {
		end, ok := gapEnd(g)
		if ok && v.Wall.Equal(g.Inferred.To) && v.OpTime.TS.Before(end) && end.T-v.OpTime.TS.T <= 1 {
			return g.Inferred
		}
	}
	return Interval{}
}

func gapEnd(c Change) (bson.Timestamp, bool) {
	t, i, ok := c.Raw.Lookup("to", "ts").TimestampOK()
	return bson.Timestamp{T: t, I: i}, ok
}

// lost returns the gaps that include a time.
func (inf inference) lost(at time.Time) []Interval {
	var spans []Interval
	for _, g := range inf.gaps {
		if at.After(g.Inferred.From) && at.Before(g.Inferred.To) {
			spans = append(spans, g.Inferred)
		}
	}
	return spans
}

// bounds describe the range in which the catalog of a source is known.
type bounds struct {
	// baseline is when the catalog was first listed, to the second.
	baseline time.Time
	// position is how far the oplog has been published.
	position time.Time
	// horizon is the time before which retention has removed superseded versions.
	horizon time.Time
	// setBack is true if the result for a time ends before versions with earlier times.
	setBack bool
}

// boundsAt returns the bounds of a result for a time that ends at a version.
func (r Reader) boundsAt(ctx context.Context, a AsOf, end catalog.End) (bounds, error) {
	b, err := r.bounds(ctx, a.Source)
	if err != nil {
		return b, err
	}
	b.setBack, err = r.versions().Beyond(ctx, a.Source, end, a.At)
	return b, err
}

func (r Reader) bounds(ctx context.Context, source string) (bounds, error) {
	names, err := checkpoint.OfSource(ctx, r.db.Collection(store.Checkpoints), source)
	if err != nil {
		return bounds{}, err
	}
	var b bounds
	for _, n := range names {
		if at := n.Baseline.Time(); !n.Baseline.IsZero() && (b.baseline.IsZero() || at.Before(b.baseline)) {
			b.baseline = at
		}
		if at := n.Position.Time(); at.After(b.position) {
			b.position = at
		}
	}
	b.horizon, err = checkpoint.Horizon(ctx, r.db.Collection(store.Checkpoints), source)
	return b, err
}
