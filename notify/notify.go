// Package notify writes schema-change notifications by hand, for migrations and other
// programs that change a schema that no `ddltail run` watches:
//
//	err := notify.SchemaChange(ctx, client.Database("banking_db"), notify.Change{
//		Operation: notify.CreateIndex, Collection: "transactions", Index: "amount_idx",
//	})
//
// If a `ddltail run` detects the same change, `ddltail listen` delivers only one of the
// two notifications.
package notify

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/store"
)

// Change is one schema change. Operation is required; which other fields are required or
// allowed depends on the operation.
type Change struct {
	// Operation is one of ddltail's operations, such as CreateCollection.
	Operation string
	// Collection is the name without the database. DROP_DATABASE has none.
	Collection string
	// Index is the name of the index that was created or dropped.
	Index string
	// Database is where the change was made; empty for the database that holds the
	// notifications. DROP_DATABASE needs it.
	Database string
	// To is the new full namespace, database.collection, of RENAME_COLLECTION.
	To string
	// Statement is the text that consumers show. If it is empty, it defaults to the
	// operation and its target, such as CREATE COLLECTION payments.
	Statement string
}

// InvalidError is returned for a Change that lacks a required field or has a disallowed one.
type InvalidError struct {
	Reason string
}

func (e *InvalidError) Error() string { return e.Reason }

// SchemaChange writes the notification of a change that has just been made into the
// collection schema_notifications of db, and returns when a majority of the
// servers has acknowledged it; within a transaction, when that commits. It returns an
// *InvalidError, and writes nothing, if a required field is missing or one is not allowed.
func SchemaChange(ctx context.Context, db *mongo.Database, change Change) error {
	if err := change.Validate(); err != nil {
		return err
	}
	coll := db.Collection(store.Notifications, options.Collection().SetWriteConcern(writeconcern.Majority()))
	if _, err := coll.InsertOne(ctx, change.document(time.Now())); err != nil {
		return fmt.Errorf("notify %s: %w", change.Operation, err)
	}
	return nil
}

func (c Change) document(now time.Time) bson.D {
	doc := bson.D{{Key: "operation", Value: c.Operation}}
	doc = appendText(doc, "collection", c.Collection)
	doc = appendText(doc, "index_name", c.Index)
	statement := c.Statement
	if statement == "" {
		statement = c.defaultStatement()
	}
	doc = append(doc,
		bson.E{Key: "operation_statement", Value: statement},
		bson.E{Key: "timestamp", Value: notification.Timestamp(now)},
		bson.E{Key: "processed", Value: false})
	if c.Database != "" {
		doc = append(doc, bson.E{Key: "database", Value: c.Database}, bson.E{Key: "ns", Value: c.namespace()})
	}
	doc = appendText(doc, "to", c.To)
	return append(doc, bson.E{Key: "source", Value: "manual"})
}

func appendText(doc bson.D, key, value string) bson.D {
	if value == "" {
		return doc
	}
	return append(doc, bson.E{Key: key, Value: value})
}

func (c Change) namespace() string {
	if c.Collection == "" {
		return c.Database
	}
	return c.Database + "." + c.Collection
}

// Validate returns what is wrong with the change, as a *InvalidError, or nil.
func (c Change) Validate() error {
	op := notification.Operation(c.Operation)
	acceptsIndex := op.OnIndex() || op == notification.ModifyCollection
	switch {
	case !known(op):
		return invalid("unknown operation %q: want one of %v", c.Operation, notification.Operations())
	case op == notification.DropDatabase && c.Collection != "":
		return invalid("%s does not accept a collection: set the database", op)
	case op == notification.DropDatabase && c.Database == "":
		return invalid("%s needs a database", op)
	case op.OnCollection() && c.Collection == "":
		return invalid("%s needs a collection", op)
	case op.OnIndex() && c.Index == "":
		return invalid("%s needs an index", op)
	case !acceptsIndex && c.Index != "":
		return invalid("%s does not accept an index", op)
	case op == notification.RenameCollection && !namespaceLike(c.To):
		return invalid("%s needs the new name, database.collection", op)
	case op != notification.RenameCollection && c.To != "":
		return invalid("%s does not accept a new name", op)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return &InvalidError{Reason: fmt.Sprintf(format, args...)}
}
