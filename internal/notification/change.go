package notification

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
)

// Change is one schema change, with the names that a user of the database uses.
type Change struct {
	Operation  Operation
	Database   string
	Collection string
	// IndexName is set for a change of an index.
	IndexName string
	// To is a rename's new name, a full namespace.
	To string
	// Collections are those that a DropDatabase dropped.
	Collections []string
	// Statement is the text that consumers show. Mongosh repeats the change from any
	// database; Undo reverts it if no data is needed for that. Both are empty if no
	// statement can do it.
	Statement, Mongosh, Undo string
	// Before and After are the definitions, collection options or index spec,
	// where known.
	Before, After bson.Raw
	// Parameters are those of a collMod, with an index's in a document "index". Previous has
	// the options, or the fields of the index, before. Both are nil if not known. They
	// determine the risk and are not stored.
	Parameters, Previous bson.Raw
	// Empty is true if everything that a drop removed is known to have had no documents.
	Empty bool
	// New is true if an index was created with its collection, or while that was empty.
	New bool
	// Cause is why an index build was aborted.
	Cause bson.Raw
	// Build is how long an index build took; zero if its start was not read.
	Build  time.Duration
	UUID   oplog.UUID
	OpTime oplog.OpTime
	// Wall is when the change took effect, by the primary's clock.
	Wall time.Time
	// Ordinal counts the changes of one optime from 0, before any filter.
	Ordinal int
	// Command is the raw entry of an UnknownCommand, truncated to fit; Truncated then names
	// the truncated fields.
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
