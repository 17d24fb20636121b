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

// claimAll claims the available records, and returns them with their documents, and which the server refuses to update.
func (q queue) claimAll(ctx context.Context, r Receiver, records []record) (all map[string]claimed, refused refusals, err error) {
	all = map[string]claimed{}
	for chunk := range slices.Chunk(records, maxBulk) {
		ids := make([]bson.RawValue, len(chunk))
		for i, n := range chunk {
			ids[i] = n.id
		}
		some, err := q.claimChunk(ctx, r, ids, all)
		if err != nil {
			return all, refused, err
		}
		refused = refused.and(some)
	}
	return all, refused, nil
}

// claimChunk claims notifications with one command, and adds those that were claimed.
func (q queue) claimChunk(ctx context.Context, r Receiver, ids []bson.RawValue, all map[string]claimed) (refusals, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	refused, err := q.updateMany(ctx, r, ids, bson.D{isPending(), r.notEnded(), q.unclaimed(r)}, q.claimUpdate(r))
	if err != nil {
		return refused, fmt.Errorf("claim notifications: %w", err)
	}
	cursor, err := q.coll.Find(ctx, append(among(ids), isPending(), r.notEnded(), bson.E{Key: r.field(fieldClaim) + ".by", Value: q.id}))
	if err != nil {
		return refused, fmt.Errorf("read the claimed notifications: %w", err)
	}
	var docs []bson.Raw
	if err := cursor.All(ctx, &docs); err != nil {
		return refused, fmt.Errorf("read the claimed notifications: %w", err)
	}
	for _, doc := range docs {
		c := claimed{record: parseRecord(doc).view(r.Name), doc: doc}
		all[c.key()] = c
	}
	return refused, nil
}

// refusals are notifications that the server refuses to update, by key, and the first reason.
type refusals struct {
	keys   []string
	reason error
}

func (r refusals) and(other refusals) refusals {
	if r.reason == nil {
		r.reason = other.reason
	}
	r.keys = append(r.keys, other.keys...)
	return r
}

// updateMany applies an update to those of some notifications that match a filter. Fields of the receiver that cannot be updated are removed
// first. It returns which documents the server refuses to update; the others are updated.
func (q queue) updateMany(ctx context.Context, r Receiver, ids []bson.RawValue, filter, update bson.D) (refusals, error) {
	matching := append(among(ids), filter...)
	_, err := q.coll.UpdateMany(ctx, matching, update)
	if notViable(err) {
		for _, id := range ids {
			if err := q.repair(ctx, r, id); err != nil {
				return refusals{}, err
			}
		}
		_, err = q.coll.UpdateMany(ctx, matching, update)
	}
	if refusal.Is(err) {
		return q.updateEach(ctx, ids, filter, update)
	}
	return refusals{}, err
}

// updateEach applies an update to each document separately, to find out which are refused.
func (q queue) updateEach(ctx context.Context, ids []bson.RawValue, filter, update bson.D) (refused refusals, err error) {
	for _, id := range ids {
		_, err := q.coll.UpdateOne(ctx, append(bson.D{{Key: "_id", Value: id}}, filter...), update)
		switch {
		case refusal.Is(err):
			refused = refused.and(refusals{[]string{record{id: id}.key()}, q.explain(err, id)})
		case err != nil:
			return refused, err
		}
	}
	return refused, nil
}

func among(ids []bson.RawValue) bson.D {
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}
}

// counterparts reads the records that decide whether claimed notifications are duplicates.
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

// counterpartsFilter selects the possible counterparts of claimed notifications, and their
// duplicates. It reports whether any of the notifications can have a counterpart.
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

// applyAll executes transitions in bulk, and returns how many documents changed. The refusal of one document, which is returned, does not
// stop the others.
func (q queue) applyAll(ctx context.Context, all []transition) (changed int64, err error) {
	for chunk := range slices.Chunk(all, maxBulk) {
		n, failed := q.applyChunk(ctx, chunk)
		changed += n
		if err == nil {
			err = failed
		}
		if failed != nil && !refusal.Is(failed) {
			break
		}
	}
	return changed, err
}

func (q queue) applyChunk(ctx context.Context, chunk []transition) (changed int64, err error) {
	writes := make([]mongo.WriteModel, len(chunk))
	for i, t := range chunk {
		writes[i] = mongo.NewUpdateOneModel().SetFilter(t.filter).SetUpdate(t.update)
	}
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	done, err := q.coll.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false))
	if done != nil {
		changed = done.ModifiedCount
	}
	if err != nil {
		err = refusal.ExplainBulk(err, q.namespace(), func(write int) string { return refusal.IDText(chunk[write].id()) })
		err = fmt.Errorf("update notifications: %w", err)
	}
	return changed, err
}
