package listener

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/refusal"
	"github.com/ddltail/ddltail/internal/store"
)

// Redelivery selects notifications to deliver again. IDs, Rejected and Since narrow the
// selection; at least one of them is set.
type Redelivery struct {
	// IDs holds whole _ids, or short forms as in the tables of history.
	IDs []string
	// Sources completes a short form without a source.
	Sources []string
	// Rejected selects undelivered notifications: rejected, malformed or expired.
	Rejected bool
	// Since selects by the timestamp of the change; zero selects all.
	Since time.Time
	// Receiver limits the redelivery to one receiver; empty is all.
	Receiver string
}

// Redelivered counts the notifications of a redelivery.
type Redelivered struct {
	// Queue counts notifications in the queue, History those that were removed from it and
	// are restored from the history.
	Queue, History int
}

// Redeliver marks the selected notifications as unprocessed. With dryRun it only counts them.
// If an ID is not found, it returns an error and changes nothing.
func Redeliver(ctx context.Context, db *mongo.Database, r Redelivery, dryRun bool) (Redelivered, error) {
	w := redeliverer{Redelivery: r, db: db, queue: db.Collection(store.Notifications), now: time.Now(), found: map[string]bool{}}
	var err error
	if w.receivers, err = w.registered(ctx); err != nil {
		return Redelivered{}, err
	}
	if w.filters, err = queueFilters(ctx, db); err != nil {
		return Redelivered{}, err
	}
	if r.Receiver != "" && !isPrimary(r.Receiver) && !slices.Contains(w.receivers, r.Receiver) {
		return Redelivered{}, &UnknownReceiverError{Name: r.Receiver, Known: append([]string{BackendReceiver}, w.receivers...)}
	}
	updates, err := w.updates(ctx)
	if err != nil {
		return Redelivered{}, err
	}
	removed, err := w.removed(ctx)
	if err != nil {
		return Redelivered{}, err
	}
	found := Redelivered{Queue: len(updates), History: len(removed)}
	if dryRun {
		return found, nil
	}
	return found, w.write(ctx, append(updates, removed...))
}

// redeliverer is one redelivery.
type redeliverer struct {
	Redelivery
	db    *mongo.Database
	queue *mongo.Collection
	// receivers are the registered ones.
	receivers []string
	now       time.Time
	// filters are those of the detectors that fill the queue, by source: changes that they
	// exclude are only in the history.
	filters map[string]notification.Filter
	// found holds the _ids that are in the queue, in any state.
	found map[string]bool
}

// UnknownReceiverError is returned for a receiver that has not registered in the queue.
type UnknownReceiverError struct {
	Name  string
	Known []string
}

// Error names the known receivers.
func (e *UnknownReceiverError) Error() string {
	return fmt.Sprintf("the receiver %q has not used this queue: want one of %s", e.Name, strings.Join(e.Known, ", "))
}

// registered returns the names of the registered receivers.
func (w *redeliverer) registered(ctx context.Context) ([]string, error) {
	found, err := registry{coll: w.queue}.read(ctx)
	return slices.Sorted(maps.Keys(found.since)), err
}

// candidates returns the _ids that an ID can mean.
func (w *redeliverer) candidates(id string) []any {
	all := []any{id}
	if oid, err := bson.ObjectIDFromHex(id); err == nil {
		all = append(all, oid)
	}
	parsed, err := notification.ParseID(id)
	if err != nil {
		return all
	}
	sources := w.Sources
	if parsed.Source != "" {
		sources = []string{parsed.Source}
	}
	for _, parsed.Source = range sources {
		all = append(all, parsed.String())
	}
	return all
}

// updates returns the writes for notifications that are in the queue.
func (w *redeliverer) updates(ctx context.Context) ([]mongo.WriteModel, error) {
	filter := bson.D{{Key: "operation", Value: bson.D{{Key: "$exists", Value: true}}}}
	if len(w.IDs) > 0 {
		var ids bson.A
		for _, id := range w.IDs {
			ids = append(ids, w.candidates(id)...)
		}
		filter = append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}})
	}
	if !w.Since.IsZero() {
		filter = append(filter, bson.E{Key: "$or", Value: timestampsSince(w.Since)})
	}
	fields := bson.D{{Key: "processed", Value: 1}, {Key: fieldError, Value: 1}, {Key: fieldDuplicateOf, Value: 1}, {Key: fieldDeliveries, Value: 1}}
	cursor, err := w.queue.Find(ctx, filter, options.Find().SetProjection(fields))
	if err != nil {
		return nil, fmt.Errorf("read the notifications: %w", err)
	}
	var docs []bson.Raw
	if err := cursor.All(ctx, &docs); err != nil {
		return nil, fmt.Errorf("read the notifications: %w", err)
	}
	var updates []mongo.WriteModel
	for _, doc := range docs {
		w.found[idText(doc.Lookup("_id"))] = true
		if update, ok := w.plan(doc); ok {
			updates = append(updates, update)
		}
	}
	return updates, nil
}

// idText returns an _id in the form of candidates.
func idText(id bson.RawValue) string {
	if oid, ok := id.ObjectIDOK(); ok {
		return fmt.Sprint(oid)
	}
	s, _ := id.StringValueOK()
	return s
}

// timestampsSince selects timestamps at or after a time, numbers and dates.
func timestampsSince(at time.Time) bson.A {
	seconds := notification.Timestamp(at)
	return bson.A{
		bson.D{{Key: "timestamp", Value: bson.D{{Key: "$gte", Value: seconds}}}},
		bson.D{{Key: "timestamp", Value: bson.D{{Key: "$gte", Value: date(seconds)}}}},
	}
}

// plan returns the update of one document; ok is false if no receiver gets it again.
func (w *redeliverer) plan(doc bson.Raw) (mongo.WriteModel, bool) {
	n := parseRecord(doc)
	states := map[string]state{}
	for name, p := range n.deliveries {
		states[name] = p.state
	}
	if n.processed && states[BackendReceiver] == "" && states[StdoutReceiver] == "" {
		// Processed by an earlier release, or by hand.
		if states[BackendReceiver] = stateDelivered; len(states) == 1 && !doc.Lookup(fieldError).IsZero() {
			states[BackendReceiver] = stateRejected
		}
	}
	again := w.again(states)
	if len(again) == 0 || !n.duplicateOf.IsZero() {
		return nil, false
	}
	set := bson.D{{Key: "processed", Value: false}, {Key: fieldRedeliveredAt, Value: bson.NewDateTimeFromTime(w.now)}}
	if n.processed {
		for _, e := range w.ended(again, states) {
			set = append(set, bson.E{Key: fieldDeliveries + "." + e.Key, Value: e.Value})
		}
	}
	return mongo.NewUpdateOneModel().
		SetFilter(bson.D{{Key: "_id", Value: n.id}, unchangedProcessed(doc)}).
		SetUpdate(bson.D{{Key: "$set", Value: set}, {Key: "$unset", Value: removedFields(again)}}), true
}

// unchangedProcessed selects a document while its field processed is as it was read; it can be missing.
func unchangedProcessed(doc bson.Raw) bson.E {
	if v := doc.Lookup("processed"); !v.IsZero() {
		return bson.E{Key: "processed", Value: v}
	}
	return bson.E{Key: "processed", Value: bson.D{{Key: "$exists", Value: false}}}
}

// again returns the receivers that get the notification again.
func (w *redeliverer) again(states map[string]state) []string {
	var again []string
	for name, s := range states {
		selected := w.Receiver == name || w.Receiver == "" && s != stateSkipped
		if s != "" && selected && (!w.Rejected || s.undelivered()) {
			again = append(again, name)
		}
	}
	slices.Sort(again)
	return again
}

// removedFields lists the fields to remove so that the receivers get the notification again.
func removedFields(receivers []string) bson.D {
	names := []string{fieldError, fieldProcessedAt}
	if slices.ContainsFunc(receivers, isPrimary) {
		names = append(names, fieldAttempts, fieldLastError, fieldClaim)
	}
	for _, r := range receivers {
		names = append(names, fieldDeliveries+"."+r)
	}
	var unset bson.D
	for _, name := range names {
		unset = append(unset, bson.E{Key: name, Value: ""})
	}
	return unset
}

// ended returns the deliveries that keep a notification's final state for all other
// receivers. It is empty if all receivers get it again.
func (w *redeliverer) ended(again []string, states map[string]state) bson.D {
	if w.Receiver == "" && !w.Rejected {
		return nil
	}
	var deliveries bson.D
	for _, name := range append([]string{BackendReceiver}, w.receivers...) {
		if slices.Contains(again, name) {
			continue
		}
		s, recorded := states[name]
		if !recorded {
			s = stateSkipped
		}
		deliveries = append(deliveries, bson.E{Key: name, Value: bson.D{
			{Key: "state", Value: string(s)}, {Key: "at", Value: bson.NewDateTimeFromTime(w.now)},
		}})
	}
	return deliveries
}

// removed returns the writes for notifications that were removed from the queue. They are
// restored from the history, which does not have their final states.
func (w *redeliverer) removed(ctx context.Context) ([]mongo.WriteModel, error) {
	missing := w.missing()
	switch {
	case w.Rejected && len(missing) > 0:
		return nil, fmt.Errorf("%w: %s", ErrUnknownID, strings.Join(missing, ", "))
	case w.Rejected, len(w.IDs) > 0 && len(missing) == 0:
		return nil, nil
	}
	var filter bson.D
	if len(w.IDs) > 0 {
		var ids bson.A
		for _, id := range missing {
			ids = append(ids, w.candidates(id)...)
		}
		filter = append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}})
	}
	if !w.Since.IsZero() {
		filter = append(filter, bson.E{Key: "$or", Value: timestampsSince(w.Since)})
	}
	cursor, err := w.db.Collection(store.History).Find(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	var docs []bson.Raw
	if err := cursor.All(ctx, &docs); err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	var inserts []mongo.WriteModel
	for _, doc := range docs {
		id := text(doc, "_id")
		if !w.found[id] && (len(w.IDs) > 0 || w.queued(id, doc)) {
			inserts = append(inserts, w.insert(doc))
			w.found[id] = true
		}
	}
	if missing := w.missing(); len(missing) > 0 && w.Since.IsZero() {
		return nil, fmt.Errorf("%w: %s", ErrUnknownID, strings.Join(missing, ", "))
	}
	return inserts, nil
}

// ErrUnknownID is returned for an ID that is neither in the queue nor in the history.
var ErrUnknownID = errors.New("neither in the queue nor in the history")

// missing returns the IDs that were not found so far.
func (w *redeliverer) missing() []string {
	return slices.DeleteFunc(slices.Clone(w.IDs), func(id string) bool {
		return slices.ContainsFunc(w.candidates(id), func(c any) bool { return w.found[fmt.Sprint(c)] })
	})
}

// insert returns the write of a document of the history. It is not an upsert: server 4.4
// rejects one of a document that contains a validator.
func (w *redeliverer) insert(doc bson.Raw) mongo.WriteModel {
	var fields bson.D
	elements, _ := doc.Elements() // the driver has validated it
	for _, e := range elements {
		fields = append(fields, bson.E{Key: e.Key(), Value: e.Value()})
		if e.Key() == "timestamp" { // as in the queue
			fields = append(fields, bson.E{Key: "processed", Value: false})
		}
	}
	fields = append(fields, bson.E{Key: fieldRedeliveredAt, Value: bson.NewDateTimeFromTime(w.now)})
	if deliveries := w.ended([]string{w.Receiver}, nil); deliveries != nil {
		fields = append(fields, bson.E{Key: fieldDeliveries, Value: deliveries})
	}
	return mongo.NewInsertOneModel().SetDocument(fields)
}

// queued reports whether a change of the history was in the queue.
func (w *redeliverer) queued(id string, doc bson.Raw) bool {
	parsed, err := notification.ParseID(id)
	if err != nil {
		return false
	}
	filter, ok := w.filters[parsed.Source]
	return ok && filter.Includes(doc)
}

// queueFilters reads the filters of the detectors that fill the queue.
func queueFilters(ctx context.Context, db *mongo.Database) (map[string]notification.Filter, error) {
	checkpoints, err := checkpoint.OfQueue(ctx, db.Collection(store.Checkpoints))
	if err != nil {
		return nil, err
	}
	filters := map[string]notification.Filter{}
	for _, c := range checkpoints {
		if filters[c.Source], err = c.Settings.Filter(); err != nil {
			return nil, fmt.Errorf("the filter of %s in its checkpoint: %w", c.Source, err)
		}
	}
	return filters, nil
}

func (w *redeliverer) write(ctx context.Context, writes []mongo.WriteModel) error {
	for batch := range slices.Chunk(writes, maxBulk) {
		_, err := w.queue.BulkWrite(ctx, batch, options.BulkWrite().SetOrdered(false))
		// Some of those from the history may be in the queue by now.
		if err != nil && !refusal.OnlyDuplicateIDs(err) {
			err = refusal.ExplainBulk(err, queue{coll: w.queue}.namespace(), func(write int) string { return idOf(batch[write]) })
			return fmt.Errorf("mark notifications as unprocessed: %w", err)
		}
	}
	return nil
}

// idOf returns the _id that a write inserts or updates.
func idOf(write mongo.WriteModel) string {
	var fields bson.D
	switch w := write.(type) {
	case *mongo.InsertOneModel:
		fields, _ = w.Document.(bson.D)
	case *mongo.UpdateOneModel:
		fields, _ = w.Filter.(bson.D)
	}
	return refusal.IDText(transition{filter: fields}.id())
}
