package sink

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
	"github.com/ddltail/ddltail/internal/refusal"
)

// The names of ddltail's own collections.
const (
	Notifications = "schema_notifications"
	History       = "schema_history"
	Catalog       = "schema_catalog"
	Checkpoints   = "schema_checkpoints"
)

// HistoryName is the name of the history as a sink.
const HistoryName = "history"

// Collections returns the full namespaces of ddltail's own collections, which are
// never watched.
func Collections(database string) []string {
	return []string{
		database + "." + Notifications,
		database + "." + History,
		database + "." + Catalog,
		database + "." + Checkpoints,
		database + "." + Actors,
	}
}

// InitID is the _id of the init document of the notification collection.
const InitID = "init"

// Setup creates the notification collection with its indexes and the given ones, and its init
// document. Any of them may exist already, created by another ddltail at the same time or by
// earlier scripts. The indexes are created first, together with the collection: this does not
// need an index build.
func Setup(ctx context.Context, db *mongo.Database, ensure ownindex.Ensure, more ...ownindex.Index) error {
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

func hasCode(err error, code int) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(code)
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
