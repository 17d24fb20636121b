package attribution

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/refusal"
)

const (
	// settleEvery is how often results are stored.
	settleEvery = time.Second
	// storeTimeout bounds one attempt.
	storeTimeout = 10 * time.Second
	// flushTimeout bounds the last attempt at shutdown.
	flushTimeout = time.Second
)

// resolved is a search whose actor was found. The notification has the actor if this process wrote it in time; another detector may
// have written it without.
type resolved struct {
	search *search
	at     time.Time
}

// settle stores the actors that notifications lack.
func (w *worker) settle(ctx context.Context) {
	if len(w.found) == 0 || time.Since(w.settledAt) < settleEvery {
		return
	}
	w.settledAt = time.Now()
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	left, err := w.store(ctx, w.found)
	if err != nil {
		w.warn("actors cannot be stored", "", zap.Error(err))
	}
	w.found = left
}

// flush stores the results before the process ends.
func (w *worker) flush(ctx context.Context) {
	if len(w.found) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if _, err := w.store(ctx, w.found); err != nil {
		w.Log.Warn("actors cannot be stored", zap.Error(err))
	}
}

// store inserts the actors of notifications that were written without them, and returns the results to retry: their notifications have
// not been written yet, or the attempt failed.
func (w *worker) store(ctx context.Context, found []resolved) ([]resolved, error) {
	var ids []string
	for _, r := range found {
		ids = append(ids, r.search.IDs...)
	}
	written, err := w.written(ctx, ids)
	if err != nil {
		return recent(found), err
	}
	var docs []any
	var left []resolved
	for _, r := range found {
		missing := false
		for _, id := range r.search.IDs {
			hasActor, exists := written[id]
			missing = missing || !exists
			if exists && !hasActor {
				docs = append(docs, bson.D{
					{Key: "_id", Value: id}, {Key: "source", Value: w.Source},
					{Key: "actor", Value: r.search.actor.Only(w.Fields)}, {Key: "recorded_at", Value: time.Now()},
				})
			}
		}
		if missing && time.Since(r.at) < maxAge {
			left = append(left, r)
		}
	}
	if len(docs) == 0 {
		return left, nil
	}
	if _, err := w.Actors.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false)); err != nil && !refusal.OnlyDuplicateIDs(err) {
		return recent(found), fmt.Errorf("write to %s: %w", w.Actors.Name(), explain(err, w.Actors, docs))
	}
	return left, nil
}

// recent returns the results that are not older than maxAge: a refusal may be permanent.
func recent(found []resolved) []resolved {
	return slices.DeleteFunc(slices.Clone(found), func(r resolved) bool { return time.Since(r.at) > maxAge })
}

// explain names the first document that the server refuses.
func explain(err error, coll *mongo.Collection, docs []any) error {
	return refusal.ExplainBulk(err, coll.Database().Name()+"."+coll.Name(), func(write int) string {
		doc, _ := docs[write].(bson.D)
		return fmt.Sprint(doc[0].Value)
	})
}

// written returns which of the notifications exist, and whether they have an actor. If notifications are not stored, each exists when its
// batch no longer waits, with the actor that was found until then.
func (w *worker) written(ctx context.Context, ids []string) (map[string]bool, error) {
	hasActor := make(map[string]bool, len(ids))
	if w.History == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, r := range w.found {
			for _, id := range r.search.IDs {
				if r.search.late {
					hasActor[id] = r.search.reported
				}
			}
		}
		return hasActor, nil
	}
	cursor, err := w.History.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}},
		options.Find().SetProjection(bson.D{{Key: "actor.evidence", Value: 1}}))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", w.History.Name(), err)
	}
	var docs []struct {
		ID    string   `bson:"_id"`
		Actor bson.Raw `bson:"actor"`
	}
	if err := cursor.All(ctx, &docs); err != nil {
		return nil, fmt.Errorf("read %s: %w", w.History.Name(), err)
	}
	for _, d := range docs {
		hasActor[d.ID] = d.Actor != nil
	}
	return hasActor, nil
}
