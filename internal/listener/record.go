package listener

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
)

// Fields owned by the listener. They are not part of the message.
const (
	fieldProcessedAt = "processed_at"
	fieldAttempts    = "attempts"
	fieldLastError   = "last_error"
	fieldError       = "error"
	fieldDuplicateOf = "duplicate_of"
	fieldClaim       = "claim"
	fieldDeliveries  = "deliveries"
	// fieldRedeliveredAt is when the notification was made unprocessed again.
	fieldRedeliveredAt = "redelivered_at"
	// fieldReceivers is a field of the init document: when each receiver was registered.
	fieldReceivers = "receivers"
)

// origin is who wrote a notification.
type origin int

const (
	// byHand: manual or unknown, for example a script or `ddltail notify`.
	byHand origin = iota
	fromOplog
	fromSnapshot
)

// record is the part of a notification document that the listener uses. A field of an
// unexpected type counts as absent.
type record struct {
	id         bson.RawValue
	position   notification.Position
	operation  string
	database   string
	collection string
	// to is the new name of a rename, a full namespace.
	to     string
	index  string
	origin origin
	// partitions is set by the scan.
	partitions []partition
	// seconds is the timestamp; timed reports whether the document has one.
	seconds float64
	timed   bool

	// processed and pending are the two states of a notification. A document whose
	// `processed` has any other value is in neither.
	processed, pending bool
	attempts           int64
	failingSince       time.Time
	duplicateOf        bson.RawValue
	// neverSent reports whether it failed validation and was never sent.
	neverSent bool
	claimedBy string
	// free is when the claim or backoff ends, by the server's clock, and now the time of
	// that clock. Both are zero if not read.
	free, now time.Time
}

func parseRecord(doc bson.Raw) record {
	n := record{
		id:          doc.Lookup("_id"),
		position:    notification.PositionOf(doc),
		operation:   text(doc, "operation"),
		database:    text(doc, "database"),
		collection:  text(doc, "collection"),
		to:          text(doc, "to"),
		index:       text(doc, "index_name"),
		duplicateOf: doc.Lookup(fieldDuplicateOf),
		claimedBy:   text(doc, fieldClaim, "by"),
	}
	switch text(doc, "source") {
	case "oplog":
		n.origin = fromOplog
	case "snapshot":
		n.origin = fromSnapshot
	}
	n.seconds, n.timed = notification.Seconds(doc.Lookup("timestamp"))
	n.attempts, _ = doc.Lookup(fieldAttempts).AsInt64OK()
	n.neverSent = n.attempts == 0 && !doc.Lookup(fieldError).IsZero()
	n.failingSince, _ = doc.Lookup(fieldClaim, "since").TimeOK()
	n.state(doc.Lookup("processed"))
	n.now, _ = doc.Lookup("now").TimeOK()
	if at, ok := doc.Lookup(fieldClaim, "at").TimeOK(); ok {
		length, _ := doc.Lookup(fieldClaim, "for").AsInt64OK()
		n.free = at.Add(min(time.Duration(length)*time.Millisecond, maxWait))
	}
	return n
}

func (n *record) state(processed bson.RawValue) {
	value, isBool := processed.BooleanOK()
	n.processed = isBool && value
	n.pending = isBool && !value || processed.IsZero() || processed.Type == bson.TypeNull
}

// wait returns how long the notification cannot be claimed: another listener has claimed
// it, or its backoff is not over.
func (n record) wait() time.Duration { return max(0, n.free.Sub(n.now)) }

// claimed reports whether a listener has an active claim.
func (n record) claimed() bool { return n.claimedBy != "" && n.wait() > 0 }

func text(doc bson.Raw, path ...string) string {
	s, _ := doc.Lookup(path...).StringValueOK()
	return s
}

// compare orders notifications for delivery.
func (n record) compare(other record) int { return n.position.Compare(other.position) }

// key returns the _id as a map key.
func (n record) key() string { return string(n.id.Type) + string(n.id.Value) }

// writtenAt returns when a document was written: by the detector's clock, else by the
// timestamp of the change. It is the zero time if the document does not say.
func writtenAt(doc bson.Raw) time.Time {
	if at, ok := doc.Lookup("detected_at").TimeOK(); ok {
		return at
	}
	if s, ok := notification.Seconds(doc.Lookup("timestamp")); ok {
		return time.UnixMilli(int64(s * 1000))
	}
	if id, ok := doc.Lookup("_id").ObjectIDOK(); ok {
		return id.Timestamp()
	}
	return time.Time{}
}

// malformed returns why a document is not a valid notification, empty if it is valid.
func malformed(doc bson.Raw) string {
	operation, ok := doc.Lookup("operation").StringValueOK()
	if !ok || operation == "" {
		return "operation is not a name"
	}
	for _, field := range []string{"collection", "index_name", "operation_statement", "database"} {
		v := doc.Lookup(field)
		if _, ok := v.StringValueOK(); !ok && !v.IsZero() && v.Type != bson.TypeNull {
			return field + " is not a string"
		}
	}
	if notification.Operation(operation).OnCollection() && text(doc, "collection") == "" {
		return operation + " without a collection"
	}
	return ""
}
