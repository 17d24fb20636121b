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

// maxFetch bounds how many versions are asked for at once.
const maxFetch = 1000

// Reader reads the versions of all sources.
type Reader struct {
	coll *mongo.Collection
}

// NewReader reads the versions in a collection.
func NewReader(coll *mongo.Collection) Reader { return Reader{coll: coll} }

// Changed lists the namespaces with a version between two times, the later one
// included: all whose standing version can differ.
func (r Reader) Changed(ctx context.Context, source string, after, until time.Time) ([]string, error) {
	cur, err := r.coll.Aggregate(ctx, mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "source", Value: source}, {Key: "wall", Value: bson.D{{Key: "$gt", Value: after}, {Key: "$lte", Value: until}}}}}},
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

// Moment selects versions: of each namespace the newest at or before a time.
type Moment struct {
	At     time.Time
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
			// One that retention has taken meanwhile is no longer promised.
			if v, ok := byID[id]; ok {
				if err := take(v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
