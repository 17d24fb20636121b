package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/ownindex"
)

// SetupHistory creates the indexes for queries of the history: by time, by namespace and by
// operation, each ordered by time, and by namespace in oplog order. It is idempotent.
func SetupHistory(ctx context.Context, db *mongo.Database, ensure ownindex.Ensure) error {
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

// NewestPublished returns the position of the newest change of a source in the history; zero
// if it has none.
func NewestPublished(ctx context.Context, db *mongo.Database, source string) (oplog.Moment, error) {
	return firstOf(ctx, db, notification.IDsOfKind(source, notification.IDOplog), -1)
}

// FirstPublishedAfter returns the position of the first change of a source in the
// history after a position; zero if there is none.
func FirstPublishedAfter(ctx context.Context, db *mongo.Database, source string, at oplog.OpTime) (oplog.Moment, error) {
	return firstOf(ctx, db, notification.IDsOfKind(source, notification.IDOplog).After(at.TS), 1)
}

// firstOf returns the position of the first change in a range of _ids, in the order given.
func firstOf(ctx context.Context, db *mongo.Database, ids notification.IDRange, order int) (oplog.Moment, error) {
	var doc struct {
		OpTime oplog.OpTime `bson:"optime"`
		Wall   time.Time    `bson:"wall"`
	}
	err := db.Collection(History).FindOne(ctx, bson.D{ids.Filter()}, options.FindOne().SetSort(bson.D{{Key: "_id", Value: order}})).Decode(&doc)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return oplog.Moment{}, fmt.Errorf("read %s.%s: %w", db.Name(), History, err)
	}
	return oplog.Moment{OpTime: doc.OpTime, Wall: doc.Wall}, nil
}
