// Package sink writes notification documents to their destinations: collections of
// MongoDB, a file and standard output.
package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
)

// maxInsert bounds how many documents go in one insert.
const maxInsert = 500

// ConflictError is returned if another change has a document's _id.
type ConflictError struct {
	Namespace, ID string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s holds another change as %s: two replica sets write with one SOURCE; "+
		"set a different DDLTAIL_SOURCE for each", e.Namespace, e.ID)
}

// Collection writes documents into one MongoDB collection. Its client must write
// with majority write concern: a document acknowledged is there to stay.
type Collection struct {
	// OnConflict decides what becomes of a document whose _id another change has: the
	// write goes on without it where it returns nil. Nil returns the error itself.
	OnConflict func(*ConflictError) error

	name   string
	coll   *mongo.Collection
	render func(notification.Document) bson.D
}

// NewQueue is the collection that consumers read.
func NewQueue(db *mongo.Database) Collection {
	return Collection{name: QueueName, coll: db.Collection(Notifications), render: notification.Document.Notification}
}

// Names of the collections among the sinks.
const (
	QueueName   = "mongodb"
	HistoryName = "history"
)

// NewHistory is the audit log; DDLTAIL_HISTORY_TTL alone removes from it.
func NewHistory(db *mongo.Database) Collection {
	return Collection{name: HistoryName, coll: db.Collection(History), render: notification.Document.History}
}

// Name is the sink's name in logs and metrics.
func (c Collection) Name() string { return c.name }

// Write inserts documents in their order. Those already there, from a run that
// was interrupted or from another ddltail, count as written if they are the same change;
// else the error is a *ConflictError.
func (c Collection) Write(ctx context.Context, docs []notification.Document) error {
	for chunk := range slices.Chunk(docs, maxInsert) {
		if err := c.writeChunk(ctx, chunk); err != nil {
			return fmt.Errorf("write to %s.%s: %w", c.coll.Database().Name(), c.coll.Name(), err)
		}
	}
	return nil
}

func (c Collection) writeChunk(ctx context.Context, docs []notification.Document) error {
	for len(docs) > 0 {
		rendered := make([]any, len(docs))
		for i, d := range docs {
			rendered[i] = c.render(d)
		}
		_, err := c.coll.InsertMany(ctx, rendered)
		if err == nil {
			return nil
		}
		at, ok := duplicateAt(err)
		if !ok {
			return err
		}
		if err := c.settle(c.same(ctx, docs[at])); err != nil {
			return err
		}
		docs = docs[at+1:]
	}
	return nil
}

// duplicateAt returns the index of the document that was there already. With a write
// concern error beside it, nothing is known to be durable yet, and the whole write
// is to be tried again.
func duplicateAt(err error) (int, bool) {
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil || len(bulk.WriteErrors) != 1 {
		return 0, false
	}
	return bulk.WriteErrors[0].Index, mongo.IsDuplicateKeyError(bulk.WriteErrors[0])
}

func (c Collection) settle(err error) error {
	var conflict *ConflictError
	if c.OnConflict != nil && errors.As(err, &conflict) {
		return c.OnConflict(conflict)
	}
	return err
}

// same reads the stored document of d's _id and compares the fields that identify a
// change.
func (c Collection) same(ctx context.Context, d notification.Document) error {
	var there struct {
		Operation string       `bson:"operation"`
		NS        string       `bson:"ns"`
		OpTime    oplog.OpTime `bson:"optime"`
		UUID      bson.Binary  `bson:"collection_uuid"`
	}
	if err := c.coll.FindOne(ctx, bson.D{{Key: "_id", Value: d.ID}}).Decode(&there); err != nil {
		return fmt.Errorf("compare the document %s: %w", d.ID, err)
	}
	uuid := d.Change.UUID
	if there.Operation != string(d.Change.Operation) || there.NS != d.Change.Namespace() ||
		there.OpTime != d.Change.OpTime || (!uuid.IsZero() && !there.UUID.Equal(uuid.Binary())) {
		return &ConflictError{Namespace: c.coll.Database().Name() + "." + c.coll.Name(), ID: d.ID}
	}
	return nil
}
