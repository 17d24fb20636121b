package listener

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/sink"
)

const (
	// queueTimeout bounds one operation on the queue.
	queueTimeout = 10 * time.Second
	// scanTimeout bounds a scan of all unprocessed notifications.
	scanTimeout = time.Minute

	codePathNotViable = 28
)

// queue is the notification collection as one listener uses it.
type queue struct {
	coll *mongo.Collection
	// id identifies this listener in its claims.
	id string
}

// Setup creates the queue and two indexes of the listener: a partial index on documents
// without `processed` (absent from the sparse index, so the query would scan the
// collection) and one for duplicate detection. It is idempotent.
func Setup(ctx context.Context, db *mongo.Database) error {
	if err := sink.Setup(ctx, db); err != nil {
		return err
	}
	_, err := db.Collection(sink.Notifications).Indexes().CreateMany(ctx, []mongo.IndexModel{
		{
			Keys: bson.D{{Key: "operation", Value: 1}},
			Options: options.Index().SetName("unprocessed_by_hand").
				SetPartialFilterExpression(bson.D{{Key: "processed", Value: nil}}),
		},
		{Keys: bson.D{{Key: "collection", Value: 1}, {Key: "source", Value: 1}, {Key: "timestamp", Value: 1}}},
	})
	if err != nil {
		return fmt.Errorf("create indexes on %s.%s: %w", db.Name(), sink.Notifications, err)
	}
	return nil
}

// unprocessed selects notifications that are not processed. Each branch has its own
// index, which the server uses only with a top-level $or.
func unprocessed() bson.D {
	isNotification := bson.E{Key: "operation", Value: bson.D{{Key: "$exists", Value: true}}}
	return bson.D{{Key: "$or", Value: bson.A{
		bson.D{{Key: "processed", Value: false}, isNotification},
		bson.D{{Key: "processed", Value: nil}, isNotification},
	}}}
}

// columns is the projection for a record, plus the server's clock.
func columns() bson.D {
	fields := bson.D{{Key: "now", Value: "$$NOW"}}
	for _, f := range []string{
		"operation", "database", "collection", "to", "index_name", "source", "timestamp", "processed",
		fieldAttempts, fieldError, fieldDuplicateOf, fieldClaim,
	} {
		fields = append(fields, bson.E{Key: f, Value: 1})
	}
	return fields
}

// each calls visit with every matching record. The record is a copy.
func (q queue) each(ctx context.Context, filter bson.D, visit func(record)) error {
	cursor, err := q.coll.Find(ctx, filter, options.Find().SetProjection(columns()))
	if err != nil {
		return fmt.Errorf("read %s: %w", q.coll.Name(), err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		// The cursor times out on the server if this fails.
		_ = cursor.Close(closing)
	}()
	for cursor.Next(ctx) {
		visit(parseRecord(slices.Clone(cursor.Current)))
	}
	if err := cursor.Err(); err != nil {
		return fmt.Errorf("read %s: %w", q.coll.Name(), err)
	}
	return nil
}

// peek reads one record and reports whether it exists.
func (q queue) peek(ctx context.Context, id bson.RawValue) (record, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	doc, err := q.coll.FindOne(ctx, bson.D{{Key: "_id", Value: id}}, options.FindOne().SetProjection(columns())).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return record{}, false, nil
	}
	if err != nil {
		return record{}, false, fmt.Errorf("read a notification of %s: %w", q.coll.Name(), err)
	}
	return parseRecord(doc), true, nil
}

// claim claims an unprocessed notification without an active claim, for claimLength by
// the server's clock. It returns the whole document, and whether it was claimed.
//
// The update is not a pipeline, although a pipeline would not need a field for the start
// time: server 4.4 rejects one on a document that contains a validator.
func (q queue) claim(ctx context.Context, id bson.RawValue) (bson.Raw, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	filter := append(pending(id), bson.E{Key: "$or", Value: bson.A{
		bson.D{{Key: fieldClaim + ".by", Value: q.id}},
		bson.D{{Key: "$expr", Value: bson.D{{Key: "$not", Value: bson.A{claimActive()}}}}},
	}})
	update := bson.D{
		{Key: "$set", Value: bson.D{
			{Key: fieldClaim + ".by", Value: q.id},
			{Key: fieldClaim + ".for", Value: claimLength.Milliseconds()},
		}},
		{Key: "$currentDate", Value: bson.D{{Key: fieldClaim + ".at", Value: true}}},
	}
	doc, err := q.coll.FindOneAndUpdate(ctx, filter, update,
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, false, nil
	}
	var refused mongo.ServerError
	if errors.As(err, &refused) && refused.HasErrorCode(codePathNotViable) {
		// The claim field has another type.
		_, err = q.coll.UpdateOne(ctx, pending(id), bson.D{{Key: "$unset", Value: bson.D{{Key: fieldClaim, Value: ""}}}})
		if err == nil {
			return q.claim(ctx, id)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("claim a notification: %w", err)
	}
	return doc, true, nil
}

func pending(id bson.RawValue) bson.D {
	return bson.D{
		{Key: "_id", Value: id},
		{Key: "processed", Value: bson.D{{Key: "$in", Value: bson.A{false, nil}}}},
	}
}

// claimActive is an expression that is true while a claim or a backoff is active.
func claimActive() bson.D {
	length := bson.D{{Key: "$min", Value: bson.A{"$" + fieldClaim + ".for", maxWait.Milliseconds()}}}
	return bson.D{{Key: "$and", Value: bson.A{
		bson.D{{Key: "$eq", Value: bson.A{bson.D{{Key: "$type", Value: "$" + fieldClaim + ".at"}}, "date"}}},
		bson.D{{Key: "$isNumber", Value: "$" + fieldClaim + ".for"}},
		bson.D{{Key: "$gt", Value: bson.A{
			bson.D{{Key: "$add", Value: bson.A{"$" + fieldClaim + ".at", length}}}, "$$NOW",
		}}},
	}}}
}

// scan reads all unprocessed notifications.
func (q queue) scan(ctx context.Context, queue string) (*backlog, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	found := newBacklog(queue)
	if err := q.each(ctx, unprocessed(), found.add); err != nil {
		return nil, err
	}
	return found, nil
}

// candidates reads the possible counterparts of n, and the records that are already
// marked as duplicates of these.
func (q queue) candidates(ctx context.Context, n record) ([]record, error) {
	if !n.timed || n.origin == fromSnapshot {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	other := bson.D{{Key: "$nin", Value: bson.A{"oplog", "snapshot"}}}
	if n.origin == byHand {
		other = bson.D{{Key: "$eq", Value: "oplog"}}
	}
	var found []record
	var ids bson.A
	err := q.each(ctx, append(sameChangeFilter(n, dedupWindow), bson.E{Key: "source", Value: other}), func(o record) {
		found = append(found, o)
		ids = append(ids, o.id)
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	second := bson.E{Key: fieldDuplicateOf, Value: bson.D{{Key: "$in", Value: ids}}}
	err = q.each(ctx, append(sameChangeFilter(n, 2*dedupWindow), second), func(o record) { found = append(found, o) })
	return found, err
}

// apply executes one transition. A document that changed its state meanwhile, or was
// removed, is not modified.
func (q queue) apply(ctx context.Context, m transition) error {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	if _, err := q.coll.UpdateOne(ctx, m.filter, m.update); err != nil {
		return fmt.Errorf("update a notification: %w", err)
	}
	return nil
}

// withActor returns a notification with the actor that was found after it was written, if there is one and it has none.
func (q queue) withActor(ctx context.Context, doc bson.Raw) (bson.Raw, error) {
	id, isText := doc.Lookup("_id").StringValueOK()
	if _, err := doc.LookupErr(sink.FieldActor); err == nil || !isText {
		return doc, nil
	}
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	late, err := sink.LateActors(ctx, q.coll.Database(), []string{id})
	if err != nil || late[id] == nil {
		return doc, err
	}
	elements, err := doc.Elements()
	if err != nil {
		return doc, nil //nolint:nilerr // the encoding of the message reports it
	}
	fields := make(bson.D, 0, len(elements)+1)
	for _, e := range elements {
		fields = append(fields, bson.E{Key: e.Key(), Value: e.Value()})
	}
	whole, err := bson.Marshal(append(fields, bson.E{Key: sink.FieldActor, Value: late[id]}))
	if err != nil {
		return doc, fmt.Errorf("add the actor to a notification: %w", err)
	}
	return whole, nil
}
