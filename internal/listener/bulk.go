package listener

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/refusal"
)

// claimAll claims the available records, and returns them with their documents.
func (q queue) claimAll(ctx context.Context, r Receiver, records []record) (map[string]claimed, error) {
	all := map[string]claimed{}
	for chunk := range slices.Chunk(records, maxBulk) {
		ids := make(bson.A, len(chunk))
		for i, n := range chunk {
			ids[i] = n.id
		}
		if err := q.claimChunk(ctx, r, ids, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// claimChunk claims notifications with one command, and adds those that were claimed.
func (q queue) claimChunk(ctx context.Context, r Receiver, ids bson.A, all map[string]claimed) error {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	filter := append(r.openAmong(ids), q.unclaimed(r))
	_, err := q.coll.UpdateMany(ctx, filter, q.claimUpdate(r))
	if notViable(err) {
		for _, id := range ids {
			if value, ok := id.(bson.RawValue); ok && err != nil {
				if err := q.repair(ctx, r, value); err != nil {
					return err
				}
			}
		}
		_, err = q.coll.UpdateMany(ctx, filter, q.claimUpdate(r))
	}
	if refusal.Is(err) {
		err = q.updateEach(ctx, ids, bson.D{isPending(), r.notEnded(), q.unclaimed(r)}, q.claimUpdate(r))
	}
	if err != nil {
		return fmt.Errorf("claim notifications: %w", err)
	}
	cursor, err := q.coll.Find(ctx, append(r.openAmong(ids), bson.E{Key: r.field(fieldClaim) + ".by", Value: q.id}))
	if err != nil {
		return fmt.Errorf("read the claimed notifications: %w", err)
	}
	var docs []bson.Raw
	if err := cursor.All(ctx, &docs); err != nil {
		return fmt.Errorf("read the claimed notifications: %w", err)
	}
	for _, doc := range docs {
		c := claimed{record: parseRecord(doc).view(r.Name), doc: doc}
		all[c.key()] = c
	}
	return nil
}

// updateEach applies an update to each document separately, to find out which is refused.
func (q queue) updateEach(ctx context.Context, ids bson.A, filter, update bson.D) error {
	for _, id := range ids {
		if _, err := q.coll.UpdateOne(ctx, append(bson.D{{Key: "_id", Value: id}}, filter...), update); err != nil {
			value, _ := id.(bson.RawValue)
			return q.explain(err, value)
		}
	}
	return nil
}

// openAmong selects notifications without a final state for the receiver.
func (r Receiver) openAmong(ids bson.A) bson.D {
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, isPending(), r.notEnded()}
}

// counterparts reads what can decide whether claimed notifications are duplicates.
func (q queue) counterparts(ctx context.Context, all map[string]claimed, receivers []Receiver) (counterparts, error) {
	filter, ok := counterpartsFilter(all)
	if !ok {
		return counterparts{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	found := counterparts{}
	err := q.each(ctx, filter, func(o record, doc bson.Raw) { found.add(o.excludedBy(receivers, doc)) })
	return found, err
}

// counterpartsFilter selects the possible counterparts of claimed notifications, and what is
// marked as a duplicate of these; false if none of them can have one.
func counterpartsFilter(all map[string]claimed) (bson.D, bool) {
	from, to := math.Inf(1), math.Inf(-1)
	origins := map[origin]bool{}
	for _, c := range all {
		if c.timed && c.origin != fromSnapshot {
			from, to, origins[c.origin] = min(from, c.seconds), max(to, c.seconds), true
		}
	}
	if from > to {
		return nil, false
	}
	sources := bson.A{}
	for _, o := range []origin{byHand, fromOplog} {
		if origins[o] {
			sources = append(sources, bson.D{{Key: "source", Value: o.counterpartSource()}})
		}
	}
	sources = append(sources, bson.D{{Key: fieldDuplicateOf, Value: bson.D{{Key: "$exists", Value: true}}}})
	return bson.D{
		{Key: "$and", Value: bson.A{
			bson.D{{Key: "$or", Value: timestampsNear((from+to)/2, (to-from)/2+2*dedupWindow)}},
			bson.D{{Key: "$or", Value: sources}},
		}},
	}, true
}

// codeIllegalOperation is the error of a standalone server for a transaction.
const codeIllegalOperation = 20

// applyToMany executes a transition of several notifications in a transaction, because a
// server aborts an update midway if the client disconnects. A standalone server does not
// support transactions; there the update may be applied in part.
func (q queue) applyToMany(ctx context.Context, t transition) error {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	update := func(ctx context.Context) (any, error) { return q.coll.UpdateMany(ctx, t.filter, t.update) }
	session, err := q.coll.Database().Client().StartSession()
	if err == nil {
		defer session.EndSession(context.WithoutCancel(ctx))
		_, err = session.WithTransaction(ctx, update)
	}
	var se mongo.ServerError
	if errors.As(err, &se) && se.HasErrorCode(codeIllegalOperation) {
		_, err = update(ctx)
	}
	if err != nil {
		return fmt.Errorf("update notifications: %w", err)
	}
	return nil
}

// applyAll executes transitions in bulk, and returns how many documents changed.
func (q queue) applyAll(ctx context.Context, all []transition) (changed int64, err error) {
	for chunk := range slices.Chunk(all, maxBulk) {
		writes := make([]mongo.WriteModel, len(chunk))
		for i, t := range chunk {
			writes[i] = mongo.NewUpdateOneModel().SetFilter(t.filter).SetUpdate(t.update)
		}
		ctx, cancel := context.WithTimeout(ctx, scanTimeout)
		done, err := q.coll.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false))
		cancel()
		if err != nil {
			err = refusal.ExplainBulk(err, q.namespace(), func(write int) string { return refusal.IDText(chunk[write].id()) })
			return changed, fmt.Errorf("update notifications: %w", err)
		}
		changed += done.ModifiedCount
	}
	return changed, nil
}
