package sink

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Actors is the collection of who made changes, where that was found after the notification was written.
const Actors = "schema_actors"

// ActorsSetup creates the collection. It is idempotent.
func ActorsSetup(ctx context.Context, db *mongo.Database) error {
	if err := db.CreateCollection(ctx, Actors); err != nil && !hasCode(err, codeNamespaceExists) {
		return fmt.Errorf("create %s.%s: %w", db.Name(), Actors, err)
	}
	return nil
}
