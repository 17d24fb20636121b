package history

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/notification"
)

// Follower finds what comes into the history. It asks rather than watches: a standalone
// sink has no change stream, and a reader no right to one. Of one source the changes
// from the oplog, the inferred ones and the gaps come each in the order of their _ids,
// so that the newest _id of each says what has been seen.
type Follower struct {
	reader Reader
	query  Query
	// last is the newest _id seen, by the beginning that its kind of _ids has.
	last map[string]string
}

// NewFollower begins after all that is there now. Since, Until and Limit of the query
// mean nothing to it.
func (r Reader) NewFollower(ctx context.Context, q Query) (*Follower, error) {
	q.Since, q.Until, q.Limit = time.Time{}, time.Time{}, 0
	f := &Follower{reader: r, query: q, last: map[string]string{}}
	sources, err := f.sources(ctx)
	if err != nil {
		return nil, err
	}
	for _, source := range sources {
		for _, span := range spansOf(source) {
			if f.last[span.From], err = r.newestID(ctx, span); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}

// spansOf are the three kinds of _ids of one source.
func spansOf(source string) []notification.IDRange {
	return []notification.IDRange{
		notification.IDsOfKind(source, notification.IDOplog),
		notification.IDsOfKind(source, notification.IDGap),
		notification.IDsOfKind(source, notification.IDSnapshot),
	}
}

// sources are those that have begun to write: each has a checkpoint, or had one.
func (f *Follower) sources(ctx context.Context) ([]string, error) {
	if f.query.Source != "" {
		return []string{f.query.Source}, nil
	}
	return f.reader.Sources(ctx)
}

func (r Reader) newestID(ctx context.Context, span notification.IDRange) (string, error) {
	cur, err := r.changes().Find(ctx, bson.D{{Key: "_id", Value: between(span.From, span.To)}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(1).SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return "", fmt.Errorf("find the newest change: %w", err)
	}
	var found []struct {
		ID string `bson:"_id"`
	}
	if err := cur.All(ctx, &found); err != nil {
		return "", fmt.Errorf("find the newest change: %w", err)
	}
	if len(found) == 0 {
		return span.From, nil
	}
	return found[0].ID, nil
}

func between(from, to string) bson.D {
	return bson.D{{Key: "$gt", Value: from}, {Key: "$lt", Value: to}}
}

// Next returns what has come since the last time.
func (f *Follower) Next(ctx context.Context, take func(Change) error) error {
	sources, err := f.sources(ctx)
	if err != nil {
		return err
	}
	for _, source := range sources {
		for _, span := range spansOf(source) {
			if err := f.next(ctx, span, take); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Follower) next(ctx context.Context, span notification.IDRange, take func(Change) error) error {
	seen := f.last[span.From]
	if seen == "" {
		seen = span.From
	}
	newest, err := f.reader.newestID(ctx, span)
	if err != nil || strings.Compare(newest, seen) <= 0 {
		return err
	}
	filter := bson.D{{Key: "$and", Value: bson.A{
		bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: seen}, {Key: "$lte", Value: newest}}}},
		f.query.filter(),
	}}}
	cur, err := f.reader.changes().Find(ctx, filter, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return fmt.Errorf("read what is new: %w", err)
	}
	if err := f.reader.eachWithActors(ctx, cur, f.query, take); err != nil {
		return err
	}
	f.last[span.From] = newest
	return nil
}

// Began reports whether a change was there when the follower began: those that were not
// come from Next.
func (f *Follower) Began(c Change) bool {
	for _, span := range spansOf(c.Source()) {
		if c.ID > span.From && c.ID < span.To {
			return c.ID <= f.last[span.From]
		}
	}
	return true
}
