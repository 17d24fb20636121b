package sink

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/ownindex"
)

// HistorySetup creates the indexes for queries of the history: by time, by namespace and by
// operation, each ordered by time, and by namespace in oplog order. It is idempotent.
func HistorySetup(ctx context.Context, db *mongo.Database, ensure ownindex.Ensure) error {
	inTime := func(fields ...string) bson.D {
		keys := bson.D{}
		for _, f := range fields {
			keys = append(keys, bson.E{Key: f, Value: 1})
		}
		return append(keys, bson.E{Key: "timestamp", Value: 1}, bson.E{Key: "_id", Value: 1})
	}
	return ensure(ctx, db.Collection(History),
		ownindex.Index{Keys: inTime()},
		ownindex.Index{Keys: inTime("ns")},
		ownindex.Index{Keys: inTime("operation")},
		ownindex.Index{Keys: bson.D{{Key: "ns", Value: 1}, {Key: "_id", Value: 1}}},
		ownindex.Index{Keys: inTime("to"), Partial: bson.D{{Key: "to", Value: bson.D{{Key: "$exists", Value: true}}}}},
	)
}
