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

// End is where the versions of a time end: the _id of the first version, in oplog order,
// that is later than the time. Empty means no bound.
type End string

// End finds where the versions at or before a time end. Wall clocks do not order versions:
// the clock of a primary can be set back, and behind the end are versions whose time is
// earlier.
func (r Reader) End(ctx context.Context, source string, at time.Time) (End, error) {
	return r.firstID(ctx, source, "", bson.E{Key: "wall", Value: bson.D{{Key: "$gt", Value: at}}})
}

// Beyond reports whether there are versions behind an end that are at or before a time.
func (r Reader) Beyond(ctx context.Context, source string, end End, at time.Time) (bool, error) {
	if end == "" {
		return false, nil
	}
	id, err := r.firstID(ctx, source, end, bson.E{Key: "wall", Value: bson.D{{Key: "$lte", Value: at}}})
	return id != "", err
}

// firstID returns the lowest _id of a source that a condition selects: _ids are in oplog
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

// Changed lists the namespaces with a version from one end to a later one: all whose
// version in effect can differ.
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
		return nil, fmt.Errorf("list what changed in %s: %w", r.coll.Name(), err)
	}
	var groups []struct {
		NS string `bson:"_id"`
	}
	if err := cur.All(ctx, &groups); err != nil {
		return nil, fmt.Errorf("list what changed in %s: %w", r.coll.Name(), err)
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.NS
	}
	return names, nil
}

// Moment selects versions: of each namespace the newest before the end of a time.
type Moment struct {
	At     time.Time
	End    End
	Source string
	// Namespaces is what "ns" must match: a string, a bson.Regex or a condition; nil for all.
	Namespaces any
}

// Standing returns the _ids of the versions in effect at a time, drops among them,
// in the order of their namespaces.
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

// Fetch returns the versions of these _ids, in their order.
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
			// A version that retention has removed meanwhile is no longer guaranteed.
			if v, ok := byID[id]; ok {
				if err := take(v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
