package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// horizonID is the _id of a source's horizon among the checkpoints. No checkpoint
// has a document as its _id.
func horizonID(source string) bson.D { return bson.D{{Key: "retention", Value: source}} }

// Horizon returns the time before which the history of a source was pruned; zero if
// nothing was ever removed.
func Horizon(ctx context.Context, coll *mongo.Collection, source string) (time.Time, error) {
	var doc struct {
		Horizon time.Time `bson:"horizon"`
	}
	err := coll.FindOne(ctx, bson.D{{Key: "_id", Value: horizonID(source)}}).Decode(&doc)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return time.Time{}, fmt.Errorf("read the horizon of %s: %w", source, err)
	}
	return doc.Horizon, nil
}

// RaiseHorizon records that the history of a source may be incomplete before a time. It never
// lowers the horizon.
func RaiseHorizon(ctx context.Context, coll *mongo.Collection, source string, to time.Time) error {
	_, err := coll.UpdateOne(ctx, bson.D{{Key: "_id", Value: horizonID(source)}},
		bson.D{{Key: "$max", Value: bson.D{{Key: "horizon", Value: to}}}}, options.UpdateOne().SetUpsert(true))
	if err != nil {
		return fmt.Errorf("record the horizon of %s: %w", source, err)
	}
	return nil
}
