// Package detector turns oplog entries into schema changes.
//
// It is a pure function: no I/O, no clock, no logger. What it knows of the server
// stands in one table, commands.
package detector

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
	// IndexName is set on index operations only.
	IndexName string
	// Statement is the text that consumers show; Mongosh makes the same change
	// again from any database, and is empty where nothing can.
	Statement string
	Mongosh   string
	// Before and After are the definitions, collection options or index spec,
	// where known.
	Before, After bson.Raw
	UUID          oplog.UUID
	OpTime        oplog.OpTime
	// Wall is when the change took effect, by the primary's clock.
	Wall time.Time
	// Ordinal counts the changes of one optime from 0, before any filter.
	Ordinal int
	// Command is the raw entry of an UnknownCommand, cut to fit; Truncated then
	// names the fields that were cut.
	Command   bson.Raw
	Truncated []string
}

// Namespace is "database.collection", or the database alone.
func (c Change) Namespace() string {
	if c.Collection == "" {
		return c.Database
	}
	return c.Database + "." + c.Collection
}
