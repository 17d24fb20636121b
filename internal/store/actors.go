package store

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// FieldActor is the field with the actor in notifications and in documents of Actors.
const FieldActor = "actor"

// SetupActors creates the collection of actors. It is idempotent.
func SetupActors(ctx context.Context, db *mongo.Database) error {
	if err := db.CreateCollection(ctx, Actors); err != nil && !hasCode(err, codeNamespaceExists) {
		return fmt.Errorf("create %s.%s: %w", db.Name(), Actors, err)
	}
	return nil
}

// LateActors returns, by _id, the actors that were found after their notifications were written. Without the privilege to read them
// it returns none.
func LateActors(ctx context.Context, db *mongo.Database, ids []string) (map[string]bson.Raw, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	cur, err := db.Collection(Actors).Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}},
		options.Find().SetProjection(bson.D{{Key: FieldActor, Value: 1}}))
	if Unauthorized(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s.%s: %w", db.Name(), Actors, err)
	}
	var docs []struct {
		ID    string   `bson:"_id"`
		Actor bson.Raw `bson:"actor"`
	}
	if err := cur.All(ctx, &docs); err != nil {
		return nil, fmt.Errorf("read %s.%s: %w", db.Name(), Actors, err)
	}
	found := make(map[string]bson.Raw, len(docs))
	for _, d := range docs {
		found[d.ID] = d.Actor
	}
	return found, nil
}
