// Package mongodb is the sinks in ddltail's own database: the notification queue and the
// history.
package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/refusal"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/store"
)

// maxInsert bounds how many documents are written per insert.
const maxInsert = 500

// QueueKind returns the kind mongodb: the queue, and the history.
func QueueKind() sink.Kind {
	return sink.Kind{
		Name: "mongodb", Summary: "queue and history", FillsQueue: true, WritesHistory: true,
		Open: func(s sink.Spec, _ sink.Values, _ sink.Resources) ([]sink.Output, error) {
			return []sink.Output{{Sink: newHistory(), Role: sink.Audit}, {Sink: newQueue(s.Name), Role: sink.Queue}}, nil
		},
	}
}

// HistoryKind returns the kind history: the history only.
func HistoryKind() sink.Kind {
	return sink.Kind{
		Name: sink.HistoryName, Summary: "history only", WritesHistory: true,
		Open: func(sink.Spec, sink.Values, sink.Resources) ([]sink.Output, error) {
			return []sink.Output{{Sink: newHistory(), Role: sink.Audit}}, nil
		},
	}
}

// Collection writes documents into one MongoDB collection. Its client must write with
// majority write concern: an acknowledged document is not rolled back.
type Collection struct {
	name, collection string
	render           func(notification.Document) bson.D
	create           func(context.Context, *mongo.Database, ownindex.Ensure) error
	// own is set by Setup.
	own sink.Own
}

// newQueue returns the collection that consumers read.
func newQueue(name string) *Collection {
	return &Collection{
		name: name, collection: store.Notifications, render: notification.Document.Notification,
		create: func(ctx context.Context, db *mongo.Database, ensure ownindex.Ensure) error {
			return store.SetupQueue(ctx, db, ensure)
		},
	}
}

// newHistory returns the audit log. Documents are removed from it only for DDLTAIL_HISTORY_TTL.
func newHistory() *Collection {
	return &Collection{name: sink.HistoryName, collection: store.History, render: notification.Document.History, create: store.SetupHistory}
}

// Name is the sink's name in logs and metrics.
func (c *Collection) Name() string { return c.name }

// Setup creates the collection and its indexes.
func (c *Collection) Setup(ctx context.Context, own sink.Own) error {
	c.own = own
	ensure := own.Indexes
	if ensure == nil {
		ensure = ownindex.Create
	}
	return c.create(ctx, own.Database, ensure)
}

// Close does nothing: the sink does not own the client.
func (c *Collection) Close() error { return nil }

func (c *Collection) coll() *mongo.Collection { return c.own.Database.Collection(c.collection) }

// namespace is the collection's full name.
func (c *Collection) namespace() string { return c.own.Database.Name() + "." + c.collection }

// Write inserts documents in their order. A document that is already stored, by an interrupted
// write or by another ddltail, counts as written if it is the same change; otherwise the error
// is a *sink.ConflictError.
func (c *Collection) Write(ctx context.Context, docs []notification.Document) error {
	for chunk := range slices.Chunk(docs, maxInsert) {
		if err := c.writeChunk(ctx, chunk); err != nil {
			return fmt.Errorf("write to %s: %w", c.namespace(), err)
		}
	}
	return nil
}

// writeChunk inserts documents. If one exists already, another ddltail may have written many of them: those are read at once, because
// each insert of an existing document waits for the majority.
func (c *Collection) writeChunk(ctx context.Context, docs []notification.Document) error {
	rendered := make([]any, len(docs))
	for i, d := range docs {
		rendered[i] = c.render(d)
	}
	for len(docs) > 0 {
		_, err := c.coll().InsertMany(ctx, rendered)
		if err == nil {
			return nil
		}
		at, cause, ok := refusal.ByDocument(err)
		if !ok {
			return err
		}
		if !refusal.IsDuplicateID(cause) {
			return refusal.Explain(cause, c.namespace(), docs[at].ID)
		}
		docs, rendered = docs[at:], rendered[at:]
		stored, err := c.stored(ctx, docs)
		if err != nil {
			return err
		}
		docs, rendered = without(docs, rendered, stored)
	}
	return nil
}

// without returns the documents that are not stored, and their rendered forms.
func without(docs []notification.Document, rendered []any, stored map[string]identity) ([]notification.Document, []any) {
	var leftDocs []notification.Document
	var left []any
	for i, d := range docs {
		if _, found := stored[d.ID]; !found {
			leftDocs, left = append(leftDocs, d), append(left, rendered[i])
		}
	}
	return leftDocs, left
}

// stored returns which documents are stored, by _id, after checking that each is the same change. The first one exists: the server refused
// to insert it.
func (c *Collection) stored(ctx context.Context, docs []notification.Document) (map[string]identity, error) {
	stored, err := c.read(ctx, docs)
	if _, found := stored[docs[0].ID]; err == nil && !found {
		err = c.absent(ctx, docs[0])
	}
	if err != nil {
		return nil, fmt.Errorf("compare the document %s: %w", docs[0].ID, err)
	}
	for _, d := range docs {
		if found, ok := stored[d.ID]; ok {
			if err := c.settle(c.same(d, found)); err != nil {
				return nil, err
			}
		}
	}
	return stored, nil
}

// absent returns why a document that exists was not found by its _id.
func (c *Collection) absent(ctx context.Context, d notification.Document) error {
	var other identity
	if err := c.coll().FindOne(ctx, bson.D{{Key: "_id", Value: d.ID}}).Decode(&other); err != nil {
		return err // it was removed meanwhile
	}
	if other.ID == d.ID {
		return errors.New("the majority does not have it yet")
	}
	return fmt.Errorf("the collation of %s takes the _id %s for %s: create the collection without a collation", c.namespace(), other.ID, d.ID)
}

func (c *Collection) settle(err error) error {
	var conflict *sink.ConflictError
	if c.own.OnConflict != nil && errors.As(err, &conflict) {
		return c.own.OnConflict(conflict)
	}
	return err
}

// identity is what identifies the change of a stored document.
type identity struct {
	ID        string       `bson:"_id"`
	Operation string       `bson:"operation"`
	NS        string       `bson:"ns"`
	OpTime    oplog.OpTime `bson:"optime"`
	UUID      bson.Binary  `bson:"collection_uuid"`
}

// read reads the documents that are stored, by _id. They cannot be rolled back any more.
func (c *Collection) read(ctx context.Context, docs []notification.Document) (map[string]identity, error) {
	ids := make([]string, len(docs))
	for i, d := range docs {
		ids[i] = d.ID
	}
	durable := c.own.Database.Collection(c.collection, options.Collection().SetReadConcern(readconcern.Majority()))
	cursor, err := durable.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, options.Find().SetProjection(bson.D{
		{Key: "operation", Value: 1}, {Key: "ns", Value: 1}, {Key: "optime", Value: 1}, {Key: "collection_uuid", Value: 1},
	}))
	if err != nil {
		return nil, err
	}
	var found []identity
	if err := cursor.All(ctx, &found); err != nil {
		return nil, err
	}
	stored := make(map[string]identity, len(found))
	for _, i := range found {
		stored[i.ID] = i
	}
	return stored, nil
}

// same returns a *sink.ConflictError unless a stored document is of the same change.
func (c *Collection) same(d notification.Document, stored identity) error {
	uuid := d.Change.UUID
	if stored.Operation != string(d.Change.Operation) || stored.NS != d.Change.Namespace() ||
		stored.OpTime != d.Change.OpTime || (!uuid.IsZero() && !stored.UUID.Equal(uuid.Binary())) {
		return &sink.ConflictError{Namespace: c.namespace(), ID: d.ID}
	}
	return nil
}
