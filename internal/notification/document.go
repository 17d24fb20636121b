// Package notification is the model of what ddltail reports: the operations, a change,
// its _id and the document that consumers read. It does no I/O.
package notification

import (
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/oplog"
)

// Origin is where the changes of one ddltail come from.
type Origin struct {
	// Source is the first part of every _id.
	Source     string
	ReplicaSet string
	// Shard is the zero value if the set is not a shard of a cluster.
	Shard oplog.Shard
}

// The origins of a notification: the values of its field source.
const (
	sourceOplog    = "oplog"
	sourceSnapshot = "snapshot"
)

// Document is one notification, its fields in the order in which they are
// stored. Processed is not part of it: it belongs only to the queue.
type Document struct {
	ID       string
	Change   Change
	Origin   Origin
	Detected time.Time
	// Actor made the change; the zero value if not known.
	Actor   actor.Actor
	source  string
	wall    time.Time
	between Interval
}

// Interval is a part of the history that is in no oplog.
type Interval struct{ From, To oplog.Moment }

// NewDocument returns the notification of a change, read from the oplog and
// detected at the given time.
func NewDocument(c Change, origin Origin, detected time.Time) Document {
	return Document{
		ID:     ID{Source: origin.Source, TS: c.OpTime.TS, Ordinal: c.Ordinal}.String(),
		Change: c, Origin: origin, Detected: detected,
		source: sourceOplog, wall: c.Wall,
	}
}

// NewInferred returns the notification of a change that was inferred from a comparison of
// catalogs: it was made at an unknown time within the interval.
func NewInferred(c Change, between Interval, origin Origin, detected time.Time) Document {
	return Document{
		ID:     ID{Source: origin.Source, Kind: IDSnapshot, TS: between.To.TS, Ordinal: c.Ordinal}.String(),
		Change: c, Origin: origin, Detected: detected,
		source: sourceSnapshot, wall: between.To.Wall, between: between,
	}
}

// NewGap returns the notification that the history within the interval is lost.
func NewGap(between Interval, origin Origin, detected time.Time) Document {
	return Document{
		ID:     ID{Source: origin.Source, Kind: IDGap, TS: between.To.TS}.String(),
		Change: Change{Operation: HistoryGap, Statement: "HISTORY GAP"},
		Origin: origin, Detected: detected,
		source: sourceSnapshot, wall: between.To.Wall, between: between,
	}
}

// Notification returns the document for the queue, unprocessed.
func (d Document) Notification() bson.D {
	return d.fields(bson.E{Key: "processed", Value: false})
}

// Wall returns when the change took effect; for an inferred change and a gap, the end of the
// interval.
func (d Document) Wall() time.Time { return d.wall }

// History returns the document for the history, without the field processed.
func (d Document) History() bson.D { return d.fields() }

// Clone returns a copy that shares no bytes with the oplog entry.
func (d Document) Clone() Document {
	c := &d.Change
	c.Before, c.After = slices.Clone(c.Before), slices.Clone(c.After)
	c.Cause, c.Command = slices.Clone(c.Cause), slices.Clone(c.Command)
	return d
}

func (d Document) fields(more ...bson.E) bson.D {
	c := d.Change
	doc := bson.D{{Key: "_id", Value: d.ID}, {Key: "operation", Value: string(c.Operation)}}
	doc = appendText(doc, "collection", c.Collection)
	doc = appendText(doc, "index_name", c.IndexName)
	doc = append(doc,
		bson.E{Key: "operation_statement", Value: c.Statement},
		bson.E{Key: "timestamp", Value: Timestamp(d.wall)})
	doc = append(doc, more...)
	if c.Operation != HistoryGap {
		doc = append(doc, bson.E{Key: "database", Value: c.Database}, bson.E{Key: "ns", Value: c.Namespace()})
	}
	doc = appendText(doc, "to", c.To)
	if c.Operation == DropDatabase {
		doc = append(doc, bson.E{Key: "collections", Value: append([]string{}, c.Collections...)})
	}
	doc = append(doc, bson.E{Key: "risk", Value: string(c.Risk())})
	doc = appendText(doc, "mongosh", c.Mongosh)
	doc = appendText(doc, "undo", c.Undo)
	doc = appendRaw(doc, "before", c.Before)
	doc = appendRaw(doc, "after", c.After)
	doc = appendRaw(doc, "cause", c.Cause)
	if c.Build > 0 {
		doc = append(doc, bson.E{Key: "build_seconds", Value: c.Build.Seconds()})
	}
	if !c.UUID.IsZero() {
		doc = append(doc, bson.E{Key: "collection_uuid", Value: c.UUID.Binary()})
	}
	doc = appendRaw(doc, "command", c.Command)
	if !d.Actor.IsZero() {
		doc = append(doc, bson.E{Key: "actor", Value: d.Actor})
	}
	doc = append(doc, d.origin()...)
	return cutToFit(doc, c.Truncated)
}

// origin returns the fields with the time and the origin of the detection.
func (d Document) origin() bson.D {
	var doc bson.D
	switch {
	case d.Change.Operation == HistoryGap:
		doc = append(doc, bson.E{Key: "from", Value: d.between.From}, bson.E{Key: "to", Value: d.between.To})
	case d.source == sourceSnapshot:
		doc = append(doc, bson.E{Key: "not_before", Value: d.between.From.Wall}, bson.E{Key: "not_after", Value: d.between.To.Wall})
	default:
		doc = append(doc, bson.E{Key: "optime", Value: d.Change.OpTime})
	}
	doc = append(doc,
		bson.E{Key: "wall", Value: bson.NewDateTimeFromTime(d.wall)},
		bson.E{Key: "detected_at", Value: bson.NewDateTimeFromTime(d.Detected)},
		bson.E{Key: "replica_set", Value: d.Origin.ReplicaSet})
	if shard := d.Origin.Shard; !shard.IsZero() {
		doc = append(doc, bson.E{Key: "shard", Value: shard.Name}, bson.E{Key: "cluster_id", Value: shard.Cluster})
	}
	return append(doc, bson.E{Key: "source", Value: d.source})
}

func appendText(doc bson.D, key, value string) bson.D {
	if value == "" {
		return doc
	}
	return append(doc, bson.E{Key: key, Value: value})
}

func appendRaw(doc bson.D, key string, value bson.Raw) bson.D {
	if value == nil {
		return doc
	}
	return append(doc, bson.E{Key: key, Value: value})
}
