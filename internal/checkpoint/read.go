package checkpoint

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// OfSource returns the checkpoints of a source, one per NAME.
func OfSource(ctx context.Context, coll *mongo.Collection, source string) ([]Checkpoint, error) {
	return find(ctx, coll, bson.D{{Key: "source", Value: source}})
}

// OfQueue returns the checkpoints of the detectors that fill the queue, one per source.
func OfQueue(ctx context.Context, coll *mongo.Collection) ([]Checkpoint, error) {
	return find(ctx, coll, bson.D{{Key: "queue", Value: true}})
}

func find(ctx context.Context, coll *mongo.Collection, filter bson.D) ([]Checkpoint, error) {
	cur, err := coll.Find(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints in %s.%s: %w", coll.Database().Name(), coll.Name(), err)
	}
	var docs []document
	if err := cur.All(ctx, &docs); err != nil {
		return nil, fmt.Errorf("read the checkpoints in %s.%s: %w", coll.Database().Name(), coll.Name(), err)
	}
	out := make([]Checkpoint, len(docs))
	for i, d := range docs {
		out[i] = d.checkpoint()
	}
	return out, nil
}
