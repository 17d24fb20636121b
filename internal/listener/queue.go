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

	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/refusal"
	"github.com/ddltail/ddltail/internal/store"
)

const (
	// queueTimeout bounds one operation on the queue.
	queueTimeout = 10 * time.Second
	// scanTimeout bounds a scan of all unprocessed notifications.
	scanTimeout = time.Minute

	// maxBulk is how many notifications one command changes.
	maxBulk = 500

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
func Setup(ctx context.Context, db *mongo.Database, ensure ownindex.Ensure) error {
	return store.SetupQueue(ctx, db, ensure,
		ownindex.Index{Name: "unprocessed_by_hand", Keys: bson.D{{Key: "operation", Value: 1}}, Partial: bson.D{{Key: "processed", Value: nil}}},
		ownindex.Index{Keys: bson.D{{Key: "collection", Value: 1}, {Key: "source", Value: 1}, {Key: "timestamp", Value: 1}}},
	)
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
		"operation", "database", "collection", "to", "index_name", "source", "timestamp", "detected_at", "processed",
		"risk", "actor.user", "actor.users", "actor.app",
		fieldAttempts, fieldLastError, fieldError, fieldDuplicateOf, fieldClaim, fieldDeliveries, fieldProcessedAt, fieldRedeliveredAt,
	} {
		fields = append(fields, bson.E{Key: f, Value: 1})
	}
	// Without a stored risk, filters derive it from the definitions.
	for _, f := range []string{"before", "after"} {
		withoutRisk := bson.D{{Key: "$eq", Value: bson.A{bson.D{{Key: "$type", Value: "$risk"}}, "missing"}}}
		fields = append(fields, bson.E{Key: f, Value: bson.D{{Key: "$cond", Value: bson.A{withoutRisk, "$" + f, "$$REMOVE"}}}})
	}
	return fields
}

// each calls visit with every matching record and its document. The document is valid only
// during the call, the record is a copy.
func (q queue) each(ctx context.Context, filter bson.D, visit func(record, bson.Raw)) error {
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
		doc, err := withoutDefinitions(cursor.Current)
		if err != nil {
			return err
		}
		visit(parseRecord(doc), cursor.Current)
	}
	if err := cursor.Err(); err != nil {
		return fmt.Errorf("read %s: %w", q.coll.Name(), err)
	}
	return nil
}

// withoutDefinitions returns a copy of a document without before and after, which can be
// large.
func withoutDefinitions(doc bson.Raw) (bson.Raw, error) {
	if doc.Lookup("before").IsZero() && doc.Lookup("after").IsZero() {
		return slices.Clone(doc), nil
	}
	elements, err := doc.Elements()
	if err != nil {
		return nil, fmt.Errorf("read a notification: %w", err)
	}
	var fields bson.D
	for _, e := range elements {
		if e.Key() != "before" && e.Key() != "after" {
			fields = append(fields, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	small, err := bson.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("copy a notification: %w", err)
	}
	return small, nil
}

// peek reads one record and reports whether it exists.
func (q queue) peek(ctx context.Context, id bson.RawValue) (record, bool, error) {
	doc, ok, err := q.read(ctx, id)
	if err != nil || !ok {
		return record{}, false, err
	}
	return parseRecord(doc), true, nil
}

// read reads the columns of one document and reports whether it exists.
func (q queue) read(ctx context.Context, id bson.RawValue) (bson.Raw, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	doc, err := q.coll.FindOne(ctx, bson.D{{Key: "_id", Value: id}}, options.FindOne().SetProjection(columns())).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read a notification of %s: %w", q.coll.Name(), err)
	}
	return doc, true, nil
}

// claim claims a notification for a receiver, if there is no active claim, for claimLength on
// the server's clock. It returns the whole document, and whether it was claimed.
//
// The update is not a pipeline, although a pipeline would not need a field for the start
// time: server 4.4 rejects one on a document that contains a validator.
func (q queue) claim(ctx context.Context, r Receiver, id bson.RawValue) (bson.Raw, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	try := func() (bson.Raw, error) {
		return q.coll.FindOneAndUpdate(ctx, append(r.open(id), q.unclaimed(r)), q.claimUpdate(r),
			options.FindOneAndUpdate().SetReturnDocument(options.After)).Raw()
	}
	doc, err := try()
	if notViable(err) {
		if err = q.repair(ctx, r, id); err == nil {
			doc, err = try()
		}
	}
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("claim a notification: %w", q.explain(err, id))
	}
	return doc, true, nil
}

// unclaimed selects notifications that this listener may claim.
func (q queue) unclaimed(r Receiver) bson.E {
	claim := r.field(fieldClaim)
	return bson.E{Key: "$or", Value: bson.A{
		bson.D{{Key: claim + ".by", Value: q.id}},
		bson.D{{Key: "$expr", Value: bson.D{{Key: "$not", Value: bson.A{claimActive(claim)}}}}},
	}}
}

func (q queue) claimUpdate(r Receiver) bson.D {
	claim := r.field(fieldClaim)
	return bson.D{
		{Key: "$set", Value: bson.D{
			{Key: claim + ".by", Value: q.id},
			{Key: claim + ".for", Value: claimLength.Milliseconds()},
		}},
		{Key: "$currentDate", Value: bson.D{{Key: claim + ".at", Value: true}}},
	}
}

// notViable reports whether an update failed because a field of the listener has another type.
func notViable(err error) bool {
	var refused mongo.ServerError
	return errors.As(err, &refused) && refused.HasErrorCode(codePathNotViable)
}

// repair removes fields of the listener that have a type that it cannot update.
func (q queue) repair(ctx context.Context, r Receiver, id bson.RawValue) error {
	for _, path := range []string{fieldDeliveries, fieldDeliveries + "." + r.Name, r.field(fieldClaim)} {
		// $type also looks into an array.
		notDocument := bson.D{{Key: "_id", Value: id}, {Key: path, Value: bson.D{{Key: "$exists", Value: true}}}, {Key: "$or", Value: bson.A{
			bson.D{{Key: path, Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$type", Value: "object"}}}}}},
			bson.D{{Key: path, Value: bson.D{{Key: "$type", Value: "array"}}}},
		}}}
		_, err := q.coll.UpdateOne(ctx, notDocument, bson.D{{Key: "$unset", Value: bson.D{{Key: path, Value: ""}}}})
		if err != nil {
			return fmt.Errorf("remove the field %s of a notification: %w", path, err)
		}
	}
	return nil
}

func pending(id bson.RawValue) bson.D { return bson.D{{Key: "_id", Value: id}, isPending()} }

func isPending() bson.E {
	return bson.E{Key: "processed", Value: bson.D{{Key: "$in", Value: bson.A{false, nil}}}}
}

// claimActive is an expression that is true while a claim or a backoff is active.
func claimActive(claim string) bson.D {
	length := bson.D{{Key: "$min", Value: bson.A{"$" + claim + ".for", maxWait.Milliseconds()}}}
	return bson.D{{Key: "$and", Value: bson.A{
		bson.D{{Key: "$eq", Value: bson.A{bson.D{{Key: "$type", Value: "$" + claim + ".at"}}, "date"}}},
		bson.D{{Key: "$isNumber", Value: "$" + claim + ".for"}},
		bson.D{{Key: "$gt", Value: bson.A{
			bson.D{{Key: "$add", Value: bson.A{"$" + claim + ".at", length}}}, "$$NOW",
		}}},
	}}}
}

// candidates reads the possible counterparts of n, and the records that are already marked as
// duplicates of such counterparts.
func (q queue) candidates(ctx context.Context, n record, receivers []Receiver) ([]record, error) {
	if !n.timed || n.origin == fromSnapshot {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	var found []record
	var ids bson.A
	err := q.each(ctx, append(sameChangeFilter(n, dedupWindow), bson.E{Key: "source", Value: n.origin.counterpartSource()}), func(o record, doc bson.Raw) {
		found = append(found, o.excludedBy(receivers, doc))
		ids = append(ids, o.id)
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	second := bson.E{Key: fieldDuplicateOf, Value: bson.D{{Key: "$in", Value: ids}}}
	err = q.each(ctx, append(sameChangeFilter(n, 2*dedupWindow), second), func(o record, _ bson.Raw) { found = append(found, o) })
	return found, err
}

// apply executes one transition. A document that changed its state meanwhile, or was
// removed, is not modified.
func (q queue) apply(ctx context.Context, r Receiver, id bson.RawValue, m transition) error {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	_, err := q.coll.UpdateOne(ctx, m.filter, m.update)
	if notViable(err) {
		if err = q.repair(ctx, r, id); err == nil {
			_, err = q.coll.UpdateOne(ctx, m.filter, m.update)
		}
	}
	if err != nil {
		return fmt.Errorf("update a notification: %w", q.explain(err, id))
	}
	return nil
}

// explain names the index or the validator that refuses an update, and the document.
func (q queue) explain(err error, id bson.RawValue) error {
	return refusal.Explain(err, q.namespace(), refusal.IDText(id))
}

func (q queue) namespace() string { return q.coll.Database().Name() + "." + q.coll.Name() }

// addActors adds the actors that were found after the notifications were written, to those
// that have none.
func (q queue) addActors(ctx context.Context, all []claimed) error {
	var ids []string
	without := map[string]int{}
	for i, c := range all {
		id, isText := c.doc.Lookup("_id").StringValueOK()
		if _, err := c.doc.LookupErr(store.FieldActor); err != nil && isText {
			ids, without[id] = append(ids, id), i
		}
	}
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	late, err := store.LateActors(ctx, q.coll.Database(), ids)
	if err != nil {
		return err
	}
	for id, actor := range late {
		c := &all[without[id]]
		if c.doc, err = withActor(c.doc, actor); err != nil {
			return err
		}
	}
	return nil
}

func withActor(doc, actor bson.Raw) (bson.Raw, error) {
	elements, err := doc.Elements()
	if err != nil {
		return doc, nil //nolint:nilerr // the encoding of the message reports it
	}
	fields := make(bson.D, 0, len(elements)+1)
	for _, e := range elements {
		fields = append(fields, bson.E{Key: e.Key(), Value: e.Value()})
	}
	whole, err := bson.Marshal(append(fields, bson.E{Key: store.FieldActor, Value: actor}))
	if err != nil {
		return doc, fmt.Errorf("add the actor to a notification: %w", err)
	}
	return whole, nil
}
