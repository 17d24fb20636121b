package listener

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/store"
)

// registry reads and writes the receivers of a queue in its init document, with the time from
// which each of them gets notifications, on the server's clock. The primary receivers have no
// entry: they get all unprocessed notifications.
type registry struct {
	coll   *mongo.Collection
	ensure ownindex.Ensure
}

// registered are the receivers in the registry.
type registered struct {
	// since holds when each was registered.
	since map[string]time.Time
	// foreign are those that only other listeners of the queue have.
	foreign []string
	// now is the server's clock; zero if there is no init document.
	now time.Time
}

// read returns the registered receivers.
func (r registry) read(ctx context.Context) (registered, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	found := registered{since: map[string]time.Time{}}
	fields := bson.D{{Key: fieldReceivers, Value: 1}, {Key: "now", Value: "$$NOW"}}
	doc, err := r.coll.FindOne(ctx, bson.D{{Key: "_id", Value: store.InitID}}, options.FindOne().SetProjection(fields)).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return found, nil
	}
	if err != nil {
		return found, fmt.Errorf("read the init document: %w", err)
	}
	found.now, _ = doc.Lookup("now").TimeOK()
	receivers, ok := doc.Lookup(fieldReceivers).DocumentOK()
	if !ok {
		return found, nil
	}
	elements, err := receivers.Elements()
	if err != nil {
		return found, fmt.Errorf("read the receivers in the init document: %w", err)
	}
	for _, e := range elements {
		found.since[e.Key()], _ = e.Value().TimeOK()
	}
	return found, nil
}

// register sets the receivers of the registry. Notifications that are unprocessed when a
// receiver is added are marked as skipped for it.
//
// The unprocessed notifications are listed before the registry is read, so that none of them
// was written after another listener had registered the receiver.
func (r registry) register(ctx context.Context, names []string) (registered, error) {
	var before []bson.RawValue
	var err error
	if len(names) > 0 {
		if before, err = r.unprocessed(ctx); err != nil {
			return registered{}, err
		}
	}
	if len(names) > 0 {
		if err := store.InsertInit(ctx, r.coll); err != nil {
			return registered{}, err
		}
	}
	found, err := r.read(ctx)
	if err != nil {
		return registered{}, err
	}
	for _, name := range names {
		if _, ok := found.since[name]; ok {
			continue
		}
		if err := r.skip(ctx, name, before); err != nil {
			return registered{}, err
		}
		if err := r.add(ctx, name); err != nil {
			return registered{}, err
		}
	}
	for name := range found.since {
		if !slices.Contains(names, name) {
			if err := r.remove(ctx, name); err != nil {
				return registered{}, err
			}
		}
	}
	if len(names) > 0 {
		if err := r.createIndex(ctx); err != nil {
			return registered{}, err
		}
	}
	return r.read(ctx)
}

// createIndex creates the index by which scans find recently processed notifications.
func (r registry) createIndex(ctx context.Context) error {
	return r.ensure(ctx, r.coll, ownindex.Index{Keys: bson.D{{Key: fieldProcessedAt, Value: 1}}, Sparse: true})
}

// keep restores missing entries: a listener without these receivers has started, or the queue
// was recreated. It returns the current registry.
func (r registry) keep(ctx context.Context, wanted registered) (registered, error) {
	found, err := r.read(ctx)
	if err != nil {
		return wanted, err
	}
	for _, name := range slices.Sorted(maps.Keys(wanted.since)) {
		if _, ok := found.since[name]; ok {
			continue
		}
		set := bson.D{{Key: "$set", Value: bson.D{{Key: fieldReceivers + "." + name, Value: bson.NewDateTimeFromTime(wanted.since[name])}}}}
		if err := r.update(ctx, r.without(name), set); err != nil {
			return wanted, err
		}
	}
	wanted.now, wanted.foreign = found.now, nil
	for _, name := range slices.Sorted(maps.Keys(found.since)) {
		if _, ok := wanted.since[name]; !ok {
			wanted.foreign = append(wanted.foreign, name)
		}
	}
	return wanted, nil
}

func (r registry) unprocessed(ctx context.Context) ([]bson.RawValue, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	cursor, err := r.coll.Find(ctx, unprocessed(), options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, fmt.Errorf("list the unprocessed notifications: %w", err)
	}
	var docs []bson.Raw
	if err := cursor.All(ctx, &docs); err != nil {
		return nil, fmt.Errorf("list the unprocessed notifications: %w", err)
	}
	ids := make([]bson.RawValue, len(docs))
	for i, doc := range docs {
		ids[i] = doc.Lookup("_id")
	}
	return ids, nil
}

// skip marks notifications as skipped for a receiver. One that the server refuses to update stays as it is: no listener can claim it.
func (r registry) skip(ctx context.Context, name string, ids []bson.RawValue) error {
	for chunk := range slices.Chunk(ids, maxBulk) {
		if err := r.skipChunk(ctx, Receiver{Name: name}, chunk); err != nil {
			return fmt.Errorf("mark notifications older than the receiver %s: %w", name, err)
		}
	}
	return nil
}

func (r registry) skipChunk(ctx context.Context, receiver Receiver, ids []bson.RawValue) error {
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	queue, path := queue{coll: r.coll}, receiver.delivery
	open := bson.D{{Key: path("state"), Value: nil}}
	skipped := bson.D{
		{Key: "$set", Value: bson.D{{Key: path("state"), Value: stateSkipped}}},
		{Key: "$currentDate", Value: bson.D{{Key: path("at"), Value: true}}},
	}
	_, err := queue.updateMany(ctx, receiver, ids, open, skipped)
	return err
}

func (r registry) add(ctx context.Context, name string) error {
	return r.update(ctx, r.without(name), bson.D{{Key: "$currentDate", Value: bson.D{{Key: fieldReceivers + "." + name, Value: true}}}})
}

func (r registry) remove(ctx context.Context, name string) error {
	return r.update(ctx, bson.D{{Key: "_id", Value: store.InitID}},
		bson.D{{Key: "$unset", Value: bson.D{{Key: fieldReceivers + "." + name, Value: ""}}}})
}

// without selects the init document if a receiver is not in it.
func (r registry) without(name string) bson.D {
	return bson.D{{Key: "_id", Value: store.InitID}, {Key: fieldReceivers + "." + name, Value: nil}}
}

func (r registry) update(ctx context.Context, filter, update bson.D) error {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	if _, err := r.coll.UpdateOne(ctx, filter, update); err != nil {
		return fmt.Errorf("register receivers in the init document: %w", err)
	}
	return nil
}
