package listener

import (
	"strings"

	"github.com/ddltail/ddltail/internal/notification"
)

// partition is the unit of ordering: one collection of one source, all collections of a
// database, or the gaps of a source.
type partition struct {
	database, collection string
	// whole is set for all collections of the database.
	whole bool
	// gaps is set for the partition of HISTORY_GAP.
	gaps bool
}

// String returns the partition's name for logs.
func (p partition) String() string {
	switch {
	case p.gaps:
		return string(notification.HistoryGap)
	case p.whole:
		return p.database + ".*"
	}
	return p.database + "." + p.collection
}

// partitionsOf returns the partitions of a record: the collections that the change affects.
// A record without a database belongs to that of the queue, unless the queue is in
// anyDatabase.
func partitionsOf(n record, queue string) []partition {
	database := n.database
	if database == "" && queue != anyDatabase {
		database = queue
	}
	switch notification.Operation(n.operation) {
	case notification.HistoryGap:
		return []partition{{gaps: true}}
	case notification.DropDatabase:
		return []partition{{database: database, whole: true}}
	}
	own := partition{database: database, collection: n.collection}
	toDatabase, toCollection, ok := strings.Cut(n.to, ".")
	if to := (partition{database: toDatabase, collection: toCollection}); ok && to != own {
		return []partition{own, to}
	}
	return []partition{own}
}
