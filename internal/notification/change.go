package notification

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
)

// Change is one schema change, as the person who made it would name it.
type Change struct {
	Operation  Operation
	Database   string
	Collection string
	// IndexName is set where the change is one of an index.
	IndexName string
	// To is a rename's new name, a full namespace.
	To string
	// Collections are those that a DropDatabase dropped.
	Collections []string
	// Statement is the text that consumers show. Mongosh makes the same change
	// again from any database; Undo takes it back where that needs no data. Both
	// are empty where nothing can.
	Statement, Mongosh, Undo string
	// Before and After are the definitions, collection options or index spec,
	// where known.
	Before, After bson.Raw
	// Parameters are those of a collMod, an index's in a document "index"; Previous is
	// what they changed: the options, or the fields of the index. Both are nil where not
	// known. They decide the risk and are not stored.
	Parameters, Previous bson.Raw
	// Empty reports whether all that a drop removed is known to have held no documents.
	Empty bool
	// New reports whether an index was built with its collection, or before that held
	// documents.
	New bool
	// Cause is why an index build was aborted.
	Cause bson.Raw
	// Build is how long an index build took; zero where its start was not read.
	Build  time.Duration
	UUID   oplog.UUID
	OpTime oplog.OpTime
	// Wall is when the change took effect, by the primary's clock.
	Wall time.Time
	// Ordinal counts the changes of one optime from 0, before any filter.
	Ordinal int
	// Command is the raw entry of an UnknownCommand, cut to fit; Truncated then
	// names the fields that were cut.
	Command   bson.Raw
	Truncated []string
}

// Namespace is "database.collection", or only the database.
func (c Change) Namespace() string {
	if c.Collection == "" {
		return c.Database
	}
	return c.Database + "." + c.Collection
}
