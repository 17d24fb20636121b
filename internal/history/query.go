package history

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
)

// batchSize keeps what is read ahead of a long answer small.
const batchSize = 1000

// Query selects changes; the zero value selects all.
type Query struct {
	// Namespaces are globs on "database.collection" in the grammar of notification.Rules.
	Namespaces []string
	// Filter selects by operation, risk, user and application; its rule on namespaces does not apply.
	Filter notification.Filter
	// Users and Apps are the items of Filter by user and application.
	Users, Apps []string
	Source      string
	// Since and Until are inclusive; zero for no bound.
	Since, Until time.Time
	// Limit keeps the newest ones; 0 for no limit.
	Limit int
}

// Reader reads the audit of one database.
type Reader struct {
	db *mongo.Database
}

// NewReader reads ddltail's own collections in db.
func NewReader(db *mongo.Database) Reader { return Reader{db: db} }

func (r Reader) changes() *mongo.Collection { return r.db.Collection(sink.History) }

// Each returns every selected change, the oldest first, and says whether older ones
// were left out for the limit. What says that something may be missing is always
// selected by whatever namespace or operation. Memory does not grow with the number
// of changes.
func (r Reader) Each(ctx context.Context, q Query, take func(Change) error) (cut bool, err error) {
	if q.Limit > 0 && q.byActor() {
		return r.newestByActor(ctx, q, take)
	}
	filter := q.filter()
	if q.Limit > 0 {
		first, found, err := r.newest(ctx, filter, q.Limit)
		if err != nil {
			return false, err
		}
		if found {
			cut = true
			filter = bson.D{{Key: "$and", Value: bson.A{filter, after(first)}}}
		}
	}
	cur, err := r.changes().Find(ctx, filter, options.Find().SetSort(order(1)).SetBatchSize(batchSize).SetAllowDiskUse(true))
	if err != nil {
		return false, fmt.Errorf("read the history: %w", err)
	}
	return cut, r.eachWithActors(ctx, cur, q, take)
}

func each(ctx context.Context, cur *mongo.Cursor, take func(Change) error) error {
	defer cur.Close(context.WithoutCancel(ctx))
	for cur.Next(ctx) {
		c, err := decodeChange(cur.Current)
		if err != nil {
			return err
		}
		if err := take(c); err != nil {
			return err
		}
	}
	if err := cur.Err(); err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	return nil
}

// place is the position of a change in the order of the history.
type place struct {
	ID        string  `bson:"_id"`
	Timestamp float64 `bson:"timestamp"`
}

// newest returns the place of the first change that a limit leaves out, counted from
// the end.
func (r Reader) newest(ctx context.Context, filter bson.D, limit int) (place, bool, error) {
	cur, err := r.changes().Find(ctx, filter, options.Find().SetSort(order(-1)).SetSkip(int64(limit)).SetLimit(1).
		SetProjection(bson.D{{Key: "timestamp", Value: 1}}).SetAllowDiskUse(true))
	if err != nil {
		return place{}, false, fmt.Errorf("find the newest changes: %w", err)
	}
	var found []place
	if err := cur.All(ctx, &found); err != nil {
		return place{}, false, fmt.Errorf("find the newest changes: %w", err)
	}
	if len(found) == 0 {
		return place{}, false, nil
	}
	return found[0], true, nil
}

func order(direction int) bson.D {
	return bson.D{{Key: "timestamp", Value: direction}, {Key: "_id", Value: direction}}
}

// after selects what follows a place.
func after(p place) bson.D {
	return bson.D{{Key: "timestamp", Value: bson.D{{Key: "$gte", Value: p.Timestamp}}}, {Key: "$or", Value: bson.A{
		bson.D{{Key: "timestamp", Value: bson.D{{Key: "$gt", Value: p.Timestamp}}}},
		bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: p.ID}}}},
	}}}
}

func (q Query) span() bson.D {
	bounds := bson.D{}
	if !q.Since.IsZero() {
		bounds = append(bounds, bson.E{Key: "$gte", Value: seconds(q.Since)})
	}
	if !q.Until.IsZero() {
		bounds = append(bounds, bson.E{Key: "$lte", Value: seconds(q.Until)})
	}
	if len(bounds) == 0 {
		return bson.D{}
	}
	return bson.D{{Key: "timestamp", Value: bounds}}
}

// seconds is a moment as the field timestamp has it. A fraction of a millisecond
// counts: what came in the millisecond before it is not at or after it.
func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// ofSource selects by the first part of every _id.
func ofSource(source string) bson.E { return notification.AllIDs(source).Filter() }
