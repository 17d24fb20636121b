package listener

import (
	"bytes"
	"cmp"
	"math"
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
	operation  string
	database   string
	collection string
	index      string
	origin     origin
	// seconds is the timestamp; timed reports whether the document has one.
	seconds float64
	timed   bool
	optime  bson.Timestamp

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
		operation:   text(doc, "operation"),
		database:    text(doc, "database"),
		collection:  text(doc, "collection"),
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
	n.seconds, n.timed = seconds(doc.Lookup("timestamp"))
	n.optime.T, n.optime.I, _ = doc.Lookup("optime", "ts").TimestampOK()
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

// seconds converts a timestamp of any type found in notifications.
func seconds(v bson.RawValue) (float64, bool) {
	if at, ok := v.TimeOK(); ok {
		return float64(at.UnixMilli()) / 1000, true
	}
	if f, ok := v.AsFloat64OK(); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
		return f, true
	}
	return 0, false
}

// compare orders notifications for delivery. One with a previous attempt sorts first,
// also before later ones with an older timestamp.
func (n record) compare(other record) int {
	if (n.attempts > 0) != (other.attempts > 0) {
		if n.attempts > 0 {
			return -1
		}
		return 1
	}
	second, fraction := n.moment()
	otherSecond, otherFraction := other.moment()
	return cmp.Or(
		cmp.Compare(second, otherSecond),
		cmp.Compare(fraction, otherFraction),
		cmp.Compare(n.optime.I, other.optime.I),
		cmp.Compare(n.id.Type, other.id.Type),
		bytes.Compare(n.id.Value, other.id.Value),
	)
}

// moment returns the time of the change. The oplog's time is monotonic, while the clock
// of a new primary can be behind: the optime's seconds decide, and the fraction of the
// wall clock counts only within the same second.
func (n record) moment() (second, fraction float64) {
	second, fraction = math.Modf(n.seconds)
	if !n.timed {
		if id, ok := n.id.ObjectIDOK(); ok {
			return float64(id.Timestamp().Unix()), 0
		}
		return 0, 0
	}
	if n.origin != fromOplog || n.optime.T == 0 {
		return second, fraction
	}
	tick := float64(n.optime.T)
	switch {
	case second < tick:
		fraction = 0
	case second > tick:
		fraction = 1
	}
	return tick, fraction
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
