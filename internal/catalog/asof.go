package catalog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/schema"
)

// maxFetch bounds how many versions one query returns.
const maxFetch = 1000

// Reader reads the versions of all sources.
type Reader struct {
	coll *mongo.Collection
}

// NewReader reads the versions in a collection.
func NewReader(coll *mongo.Collection) Reader { return Reader{coll: coll} }

// End bounds the versions in effect at a time: it is the _id of the first version, in oplog
// order, that is later than the time. Empty means no bound.
type End string

// End finds the bound of the versions in effect at a time. Versions are not ordered by wall
// time: the clock of a primary can be set back, so that versions after the bound can have an
// earlier time.
func (r Reader) End(ctx context.Context, source string, at time.Time) (End, error) {
	return r.firstID(ctx, source, "", bson.E{Key: "wall", Value: bson.D{{Key: "$gt", Value: at}}})
}

// Beyond reports whether there are versions after an end whose time is at or before a time.
func (r Reader) Beyond(ctx context.Context, source string, end End, at time.Time) (bool, error) {
	if end == "" {
		return false, nil
	}
	id, err := r.firstID(ctx, source, end, bson.E{Key: "wall", Value: bson.D{{Key: "$lte", Value: at}}})
	return id != "", err
}

// firstID returns the lowest _id of a source that matches a condition: _ids are in oplog
// order.
func (r Reader) firstID(ctx context.Context, source string, from End, condition bson.E) (End, error) {
	filter := bson.D{{Key: "source", Value: source}, condition}
	if from != "" {
		filter = append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$gte", Value: string(from)}}})
	}
	cur, err := r.coll.Find(ctx, filter, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(1).
		SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", r.coll.Name(), err)
	}
	var found []struct {
		ID End `bson:"_id"`
	}
	if err := cur.All(ctx, &found); err != nil {
		return "", fmt.Errorf("read %s: %w", r.coll.Name(), err)
	}
	if len(found) == 0 {
		return "", nil
	}
	return found[0].ID, nil
}

// Changed lists the namespaces with a version between two ends: those whose version in effect
// can differ.
func (r Reader) Changed(ctx context.Context, source string, from, to End) ([]string, error) {
	if from == "" || from == to {
		return []string{}, nil
	}
	ids := bson.D{{Key: "$gte", Value: string(from)}}
	if to != "" {
		ids = append(ids, bson.E{Key: "$lt", Value: string(to)})
	}
	cur, err := r.coll.Aggregate(ctx, mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "_id", Value: ids}, {Key: "source", Value: source}}}},
		{{Key: "$group", Value: bson.D{{Key: "_id", Value: "$ns"}}}},
	}, options.Aggregate().SetAllowDiskUse(true))
	if err != nil {
		return nil, fmt.Errorf("list the changed namespaces in %s: %w", r.coll.Name(), err)
	}
	var groups []struct {
		NS string `bson:"_id"`
	}
	if err := cur.All(ctx, &groups); err != nil {
		return nil, fmt.Errorf("list the changed namespaces in %s: %w", r.coll.Name(), err)
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.NS
	}
	return names, nil
}

// Moment selects the versions in effect at a time: the newest of each namespace before End.
type Moment struct {
	At     time.Time
	End    End
	Source string
	// Namespaces is what "ns" must match: a string, a bson.Regex or a condition; nil for all.
	Namespaces any
}

// Standing returns the _ids of the versions in effect at a time, including drops, in the order
// of their namespaces.
func (r Reader) Standing(ctx context.Context, m Moment) ([]string, error) {
	match := bson.D{{Key: "source", Value: m.Source}}
	if m.Namespaces != nil {
		match = append(match, bson.E{Key: "ns", Value: m.Namespaces})
	}
	match = append(match, bson.E{Key: "wall", Value: bson.D{{Key: "$lte", Value: m.At}}})
	if m.End != "" {
		match = append(match, bson.E{Key: "_id", Value: bson.D{{Key: "$lt", Value: string(m.End)}}})
	}
	newest := mongo.Pipeline{
		{{Key: "$match", Value: match}},
		{{Key: "$sort", Value: bson.D{{Key: "source", Value: 1}, {Key: "ns", Value: 1}, {Key: "optime.ts", Value: -1}}}},
		{{Key: "$group", Value: bson.D{{Key: "_id", Value: "$ns"}, {Key: "version", Value: bson.D{{Key: "$first", Value: "$_id"}}}}}},
		{{Key: "$sort", Value: bson.D{{Key: "_id", Value: 1}}}},
	}
	cur, err := r.coll.Aggregate(ctx, newest, options.Aggregate().SetAllowDiskUse(true))
	if err != nil {
		return nil, fmt.Errorf("read %s as of %s: %w", r.coll.Name(), m.At.Format(time.RFC3339Nano), err)
	}
	defer cur.Close(context.WithoutCancel(ctx))
	var ids []string
	for cur.Next(ctx) {
		var group struct {
			Version string `bson:"version"`
		}
		if err := cur.Decode(&group); err != nil {
			return nil, fmt.Errorf("decode a version's _id: %w", err)
		}
		ids = append(ids, group.Version)
	}
	if err := cur.Err(); err != nil {
		return nil, fmt.Errorf("read %s as of %s: %w", r.coll.Name(), m.At.Format(time.RFC3339Nano), err)
	}
	return ids, nil
}

// Fetch calls take for the versions with these _ids, in this order.
func (r Reader) Fetch(ctx context.Context, ids []string, take func(schema.Version) error) error {
	for chunk := range slices.Chunk(ids, maxFetch) {
		cur, err := r.coll.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: chunk}}}})
		if err != nil {
			return fmt.Errorf("read versions of %s: %w", r.coll.Name(), err)
		}
		var docs []version
		if err := cur.All(ctx, &docs); err != nil {
			return fmt.Errorf("read versions of %s: %w", r.coll.Name(), err)
		}
		byID := make(map[string]schema.Version, len(docs))
		for _, doc := range docs {
			byID[doc.ID] = doc.version()
		}
		for _, id := range chunk {
			// Retention may have removed the version meanwhile.
			if v, ok := byID[id]; ok {
				if err := take(v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
