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
)

// The names of ddltail's own collections.
const (
	Notifications = "schema_notifications"
	History       = "schema_history"
	Catalog       = "schema_catalog"
	Checkpoints   = "schema_checkpoints"
)

// HistoryName is the history's name among the sinks.
const HistoryName = "history"

// Collections returns the full namespaces of ddltail's own collections, which are
// never watched.
func Collections(database string) []string {
	return []string{
		database + "." + Notifications,
		database + "." + History,
		database + "." + Catalog,
		database + "." + Checkpoints,
	}
}

const (
	codeNamespaceExists       = 48
	codeIndexOptionsConflict  = 85
	codeIndexKeySpecsConflict = 86
)

// InitID is the _id of the init document of the notification collection.
const InitID = "init"

// Setup creates the notification collection with its init document and its indexes. Any
// of it may exist already, created by another ddltail at the same time or by the scripts
// that teams used before.
func Setup(ctx context.Context, db *mongo.Database) error {
	if err := db.CreateCollection(ctx, Notifications); err != nil && !hasCode(err, codeNamespaceExists) {
		return fmt.Errorf("create %s.%s: %w", db.Name(), Notifications, err)
	}
	coll := db.Collection(Notifications)
	if err := insertInit(ctx, coll); err != nil {
		return fmt.Errorf("write the init document of %s.%s: %w", db.Name(), Notifications, err)
	}
	for _, model := range []mongo.IndexModel{
		{Keys: bson.D{{Key: "timestamp", Value: 1}}},
		{Keys: bson.D{{Key: "processed", Value: 1}}, Options: options.Index().SetSparse(true)},
	} {
		_, err := coll.Indexes().CreateOne(ctx, model)
		// An index on the same field with other options serves as well.
		if err != nil && !hasCode(err, codeIndexOptionsConflict) && !hasCode(err, codeIndexKeySpecsConflict) {
			return fmt.Errorf("index %s.%s: %w", db.Name(), Notifications, err)
		}
	}
	return nil
}

func insertInit(ctx context.Context, coll *mongo.Collection) error {
	init := bson.D{{Key: "$setOnInsert", Value: bson.D{
		{Key: "type", Value: "init"},
		{Key: "message", Value: "Schema change notifications, written by ddltail and by hand"},
		{Key: "timestamp", Value: bson.NewDateTimeFromTime(time.Now())},
	}}}
	_, err := coll.UpdateOne(ctx, bson.D{{Key: "_id", Value: InitID}}, init, options.UpdateOne().SetUpsert(true))
	if mongo.IsDuplicateKeyError(err) {
		// Two upserts at once: the other one made it.
		return nil
	}
	return err
}

func hasCode(err error, code int) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(code)
}

// NewestPublished returns the position of the newest change of a source in the history;
// zero where it has none.
func NewestPublished(ctx context.Context, db *mongo.Database, source string) (oplog.Moment, error) {
	return firstOf(ctx, db, notification.IDsOfKind(source, notification.IDOplog), -1)
}

// FirstPublishedAfter returns the position of the first change of a source in the
// history behind a position; zero where there is none.
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
