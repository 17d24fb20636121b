// Package retention removes what is older than a limit: processed notifications from the queue,
// and changes and superseded versions from the history. It removes nothing that a detector could
// need or write again.
package retention

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/store"
)

// keepErrors is how long a notification with an error is kept, so that it can be redelivered
// when the cause is fixed.
const keepErrors = 30 * 24 * time.Hour

// PruneQueue deletes the notifications that were processed and written longer than age
// ago, and returns their number.
//
// A restarted detector emits the changes after its checkpoint again. So a notification from
// the oplog is removed only if the checkpoint is past it: otherwise it would be inserted
// again, as new.
func PruneQueue(ctx context.Context, db *mongo.Database, age time.Duration) (int64, error) {
	filter, err := removable(ctx, db, time.Now(), age)
	if err != nil {
		return 0, err
	}
	res, err := db.Collection(store.Notifications).DeleteMany(ctx, filter)
	if err != nil {
		return 0, fmt.Errorf("remove old notifications: %w", err)
	}
	return res.DeletedCount, nil
}

// CountQueue returns how many notifications PruneQueue would delete.
func CountQueue(ctx context.Context, db *mongo.Database, age time.Duration) (int64, error) {
	filter, err := removable(ctx, db, time.Now(), age)
	if err != nil {
		return 0, err
	}
	n, err := db.Collection(store.Notifications).CountDocuments(ctx, filter)
	if err != nil {
		return 0, fmt.Errorf("count old notifications: %w", err)
	}
	return n, nil
}

// removable selects the notifications to remove. The checkpoints are read first: they only move
// forward, so the result remains valid.
func removable(ctx context.Context, db *mongo.Database, now time.Time, age time.Duration) (bson.D, error) {
	checkpoints, err := checkpoint.OfQueue(ctx, db.Collection(store.Checkpoints))
	if err != nil {
		return nil, err
	}
	final := bson.A{manual()}
	for _, c := range checkpoints {
		final = append(final, finalOf(c)...)
	}
	withoutError := bson.D{{Key: "error", Value: nil}}
	return bson.D{
		{Key: "processed", Value: true},
		{Key: "$and", Value: bson.A{
			bson.D{{Key: "$or", Value: final}},
			bson.D{{Key: "$or", Value: bson.A{
				bson.D{{Key: "$and", Value: append(aged(now.Add(-age)), withoutError)}},
				bson.D{{Key: "$and", Value: aged(now.Add(-max(age, keepErrors)))}},
			}}},
		}},
	}, nil
}

// aged selects notifications written and processed before a time. Other programs write
// processed_at too, some as a number; without it only the timestamp counts. The server
// compares only values of the same type.
func aged(before time.Time) bson.A {
	return bson.A{
		bson.D{{Key: "$or", Value: bson.A{
			bson.D{{Key: "timestamp", Value: bson.D{{Key: "$lt", Value: notification.Timestamp(before)}}}},
			bson.D{{Key: "timestamp", Value: bson.D{{Key: "$lt", Value: before}}}},
		}}},
		bson.D{{Key: "$nor", Value: bson.A{
			bson.D{{Key: "processed_at", Value: bson.D{{Key: "$gte", Value: notification.Timestamp(before)}}}},
			bson.D{{Key: "processed_at", Value: bson.D{{Key: "$gte", Value: before}}}},
		}}},
	}
}

// manual selects notifications that were not written by a detector.
func manual() bson.D {
	return bson.D{
		{Key: "optime", Value: bson.D{{Key: "$exists", Value: false}}},
		{Key: "source", Value: bson.D{{Key: "$ne", Value: "snapshot"}}},
	}
}

// compared returns the position up to which comparisons of catalogs are final: the result
// of a pending one may be published again.
func compared(c checkpoint.Checkpoint) oplog.OpTime {
	if c.Pending != nil && !c.Pending.To.After(c.Position.OpTime) {
		return c.Pending.To.Before()
	}
	return c.Position.OpTime
}

// finalOf selects the notifications that a detector will not publish again.
func finalOf(c checkpoint.Checkpoint) bson.A {
	upTo := "$lte"
	if c.Inclusive {
		upTo = "$lt"
	}
	inferred := func(kind notification.IDKind) bson.D {
		return bson.D{
			{Key: "source", Value: "snapshot"},
			notification.IDsOfKind(c.Source, kind).UpTo(compared(c).TS).Filter(),
		}
	}
	return bson.A{
		bson.D{
			notification.AllIDs(c.Source).Filter(),
			{Key: "optime.ts", Value: bson.D{{Key: upTo, Value: c.Position.TS}}},
		},
		inferred(notification.IDSnapshot),
		inferred(notification.IDGap),
	}
}
