package store

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/refusal"
)

// InitID is the _id of the init document of the notification collection.
const InitID = "init"

// SetupQueue creates the notification collection with its indexes and the given ones, and its
// init document. Any of them may exist already, created by another ddltail at the same time
// or by earlier scripts. The indexes are created first, together with the collection: this
// does not need an index build.
func SetupQueue(ctx context.Context, db *mongo.Database, ensure ownindex.Ensure, more ...ownindex.Index) error {
	coll := db.Collection(Notifications)
	indexes := append([]ownindex.Index{
		{Keys: bson.D{{Key: "timestamp", Value: 1}}},
		{Keys: bson.D{{Key: "processed", Value: 1}}, Sparse: true},
	}, more...)
	if err := ensure(ctx, coll, indexes...); err != nil {
		return err
	}
	// An index or a validator of an existing queue may refuse it: only receivers other than the backend need it.
	if err := InsertInit(ctx, coll); !refusal.Is(err) {
		return err
	}
	return nil
}

// InsertInit writes the init document of the notification collection. It is idempotent.
func InsertInit(ctx context.Context, coll *mongo.Collection) error {
	init := bson.D{{Key: "$setOnInsert", Value: bson.D{
		{Key: "type", Value: "init"},
		{Key: "message", Value: "Schema change notifications, written by ddltail and by hand"},
		{Key: "timestamp", Value: bson.NewDateTimeFromTime(time.Now())},
	}}}
	_, err := coll.UpdateOne(ctx, bson.D{{Key: "_id", Value: InitID}}, init, options.UpdateOne().SetUpsert(true))
	if err == nil || refusal.IsDuplicateID(err) { // by a concurrent upsert
		return nil
	}
	namespace := coll.Database().Name() + "." + coll.Name()
	return fmt.Errorf("write the init document of %s: %w", namespace, refusal.Explain(err, namespace, InitID))
}
