package listener

import (
	"maps"
	"slices"
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
	// fieldRedeliveredAt is when the notification was last selected for redelivery.
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

	// written is when it was written or redelivered.
	written time.Time

	// processed and pending are the two states of a notification. A document whose
	// `processed` has any other value is in neither.
	processed, pending bool
	processedAt        time.Time
	duplicateOf        bson.RawValue
	// neverSent reports whether it failed validation and was never sent.
	neverSent bool
	// progress is that of the primary receiver, or of another one in a record of view.
	progress
	// deliveries holds the progress of each receiver in the field deliveries.
	deliveries map[string]progress
	// now is the time of the server's clock; zero if not read.
	now time.Time
	// excluded holds the receivers whose filters exclude the notification. It is set only for
	// the search for counterparts.
	excluded []string
}

// byListener reports whether a processed notification was marked by a listener after an
// attempt. Notifications marked by other programs stay processed.
func (n record) byListener() bool {
	if n.attempts > 0 {
		return true
	}
	for _, p := range n.deliveries {
		if p.state != "" && p.state != stateSkipped {
			return true
		}
	}
	return false
}

// excludedBy sets the receivers that exclude the notification.
func (n record) excludedBy(receivers []Receiver, doc bson.Raw) record {
	for _, r := range receivers {
		if !r.includes(doc) {
			n.excluded = append(n.excluded, r.Name)
		}
	}
	return n
}

// after returns the record with the final state of the notification for a receiver.
func (n record) after(receiver string, e ending) record {
	deliveries := maps.Clone(n.deliveries)
	if deliveries == nil {
		deliveries = map[string]progress{}
	}
	own := deliveries[receiver]
	own.state, own.lastError = e.state, e.reason
	deliveries[receiver] = own
	n.deliveries = deliveries
	return n
}

// endedFor reports whether the notification has ended for all receivers.
func (n record) endedFor(receivers []Receiver) bool { return n.endedForAll(names(receivers)) }

func (n record) endedForAll(receivers []string) bool {
	return !slices.ContainsFunc(receivers, func(name string) bool { return n.deliveries[name].state == "" })
}

// view returns the record with the progress of a receiver.
func (n record) view(receiver string) record {
	own := n.deliveries[receiver]
	if isPrimary(receiver) {
		n.state = own.state
		return n
	}
	n.progress = own
	return n
}

// sent reports whether any receiver may have got the notification.
func (n record) sent() bool {
	if n.progress.sent() {
		return true
	}
	for _, p := range n.deliveries {
		if p.sent() {
			return true
		}
	}
	return false
}

// claimed reports whether a listener has an active claim for any receiver.
func (n record) claimed() bool {
	if n.claimedBy != "" && n.wait() > 0 {
		return true
	}
	for _, p := range n.deliveries {
		if p.claimedBy != "" && p.free.After(n.now) {
			return true
		}
	}
	return false
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
		written:     writtenAt(doc),
		progress:    parseProgress(doc),
		deliveries:  parseDeliveries(doc),
	}
	n.state = "" // another program's field of that name
	switch text(doc, "source") {
	case "oplog":
		n.origin = fromOplog
	case "snapshot":
		n.origin = fromSnapshot
	}
	n.seconds, n.timed = notification.Seconds(doc.Lookup("timestamp"))
	n.neverSent = !doc.Lookup(fieldError).IsZero() && !n.sent()
	n.setState(doc.Lookup("processed"))
	n.processedAt, _ = doc.Lookup(fieldProcessedAt).TimeOK()
	n.now, _ = doc.Lookup("now").TimeOK()
	return n
}

func (n *record) setState(processed bson.RawValue) {
	value, isBool := processed.BooleanOK()
	n.processed = isBool && value
	n.pending = isBool && !value || processed.IsZero() || processed.Type == bson.TypeNull
}

// wait returns how long the notification cannot be claimed, because of another listener's
// claim or a backoff.
func (n record) wait() time.Duration { return max(0, n.free.Sub(n.now)) }

func text(doc bson.Raw, path ...string) string {
	s, _ := doc.Lookup(path...).StringValueOK()
	return s
}

// compare orders notifications for delivery.
func (n record) compare(other record) int { return n.position.Compare(other.position) }

// key returns the _id as a map key.
func (n record) key() string { return string(n.id.Type) + string(n.id.Value) }

// writtenAt returns when a document was written or redelivered, by the clock of the program
// that did it; else the timestamp of the change, if that is a time; else the zero time.
func writtenAt(doc bson.Raw) time.Time {
	if at, ok := doc.Lookup(fieldRedeliveredAt).TimeOK(); ok {
		return at
	}
	if at, ok := doc.Lookup("detected_at").TimeOK(); ok {
		return at
	}
	if id, ok := doc.Lookup("_id").ObjectIDOK(); ok {
		return id.Timestamp()
	}
	at, _ := notification.Time(doc.Lookup("timestamp"))
	return at
}

// malformed returns why a document is not a valid notification, empty if it is valid.
func malformed(doc bson.Raw) string {
	operation, ok := doc.Lookup("operation").StringValueOK()
	if !ok || operation == "" {
		return "operation is not a string or is empty"
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
