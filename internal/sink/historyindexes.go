package sink

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// HistorySetup makes the indexes by which the history is asked: by time, namespace and
// operation, each in the order of time. It is idempotent.
func HistorySetup(ctx context.Context, db *mongo.Database) error {
	inTime := func(fields ...string) bson.D {
		keys := bson.D{}
		for _, f := range fields {
			keys = append(keys, bson.E{Key: f, Value: 1})
		}
		return append(keys, bson.E{Key: "timestamp", Value: 1}, bson.E{Key: "_id", Value: 1})
	}
	_, err := db.Collection(History).Indexes().CreateMany(ctx, []mongo.IndexModel{
		{Keys: inTime()},
		{Keys: inTime("ns")},
		{Keys: inTime("operation")},
		{Keys: inTime("to"), Options: options.Index().SetPartialFilterExpression(bson.D{{Key: "to", Value: bson.D{{Key: "$exists", Value: true}}}})},
	})
	if err != nil {
		return fmt.Errorf("index %s.%s: %w", db.Name(), History, err)
	}
	return nil
}

// HistoryOrderSetup creates the index by which the changes of a namespace are read in oplog
// order. Over the history of an earlier release its build takes a while: nothing should wait
// for it. It is idempotent.
func HistoryOrderSetup(ctx context.Context, db *mongo.Database) error {
	_, err := db.Collection(History).Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "ns", Value: 1}, {Key: "_id", Value: 1}}})
	if err != nil {
		return fmt.Errorf("index %s.%s by namespace: %w", db.Name(), History, err)
	}
	return nil
}
