package listener

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/delivery"
)

// transition is a state change of one notification.
type transition struct {
	filter, update bson.D
}

// id returns the _id of the notification.
func (t transition) id() bson.RawValue {
	for _, e := range t.filter {
		if id, ok := e.Value.(bson.RawValue); ok && e.Key == "_id" {
			return id
		}
	}
	return bson.RawValue{}
}

// ending is the final state of a notification for one receiver.
type ending struct {
	state  state
	reason string
	// attempted is set if an attempt was made.
	attempted bool
	// processed is set if the notification has ended for every receiver; failure is then
	// the text of its field error, empty if it was delivered.
	processed bool
	failure   string
}

// toProcessed is the transition to a final state of the notification itself, with further
// fields to set.
func toProcessed(n record, more ...bson.E) transition {
	return transition{
		filter: pending(n.id),
		update: bson.D{
			{Key: "$set", Value: append(bson.D{{Key: "processed", Value: true}}, more...)},
			{Key: "$currentDate", Value: bson.D{{Key: fieldProcessedAt, Value: true}}},
			{Key: "$unset", Value: bson.D{{Key: fieldClaim, Value: ""}}},
		},
	}
}

func toMalformed(n record, reason string) transition {
	return toProcessed(n, bson.E{Key: fieldError, Value: reason})
}

func toDuplicate(n, of record) transition {
	return toProcessed(n, bson.E{Key: fieldDuplicateOf, Value: of.id})
}

// toComplete is the transition of a notification that has ended for all receivers that get it.
func toComplete(n record, receivers []Receiver) transition {
	var more []bson.E
	if failure := failureOf(n, receivers); failure != "" {
		more = append(more, bson.E{Key: fieldError, Value: failure})
	}
	t := toProcessed(n, more...)
	for _, r := range receivers {
		t.filter = append(t.filter, bson.E{Key: r.delivery("state"), Value: bson.D{{Key: "$exists", Value: true}}})
	}
	return t
}

// toReopened is the transition of a notification that was marked as processed by a listener
// that does not know all receivers. It has ended for the backend.
func toReopened(n record) transition {
	r := Receiver{Name: BackendReceiver}
	set := bson.D{{Key: "processed", Value: false}, {Key: fieldClaim + ".for", Value: maxWait.Milliseconds()}}
	now := bson.D{{Key: fieldClaim + ".at", Value: true}}
	if n.view(r.Name).state == "" {
		set = append(set, bson.E{Key: r.delivery("state"), Value: stateDelivered})
		now = append(now, bson.E{Key: r.delivery("at"), Value: true})
	}
	return transition{
		filter: bson.D{
			{Key: "_id", Value: n.id}, {Key: "processed", Value: true}, {Key: fieldDuplicateOf, Value: nil},
			{Key: fieldProcessedAt, Value: bson.NewDateTimeFromTime(n.processedAt)},
		},
		update: bson.D{
			{Key: "$set", Value: set}, {Key: "$currentDate", Value: now},
			{Key: "$unset", Value: bson.D{{Key: fieldProcessedAt, Value: ""}}},
		},
	}
}

// toReset is the transition of a notification that was processed, and marked as unprocessed
// by hand: it is delivered again.
func toReset(n record) transition {
	var unset bson.D
	for _, field := range []string{fieldProcessedAt, fieldError, fieldAttempts, fieldLastError, fieldClaim, fieldDeliveries} {
		unset = append(unset, bson.E{Key: field, Value: ""})
	}
	return transition{
		filter: append(pending(n.id), bson.E{Key: fieldProcessedAt, Value: bson.D{{Key: "$exists", Value: true}}}),
		update: bson.D{
			{Key: "$unset", Value: unset},
			{Key: "$currentDate", Value: bson.D{{Key: fieldRedeliveredAt, Value: true}}},
		},
	}
}

// toEnded is the transition to the final state of a notification for one receiver. It does not
// match if the notification has ended for the receiver meanwhile.
func (r Receiver) toEnded(n record, e ending) transition {
	set := bson.D{{Key: r.delivery("state"), Value: e.state}}
	now := bson.D{{Key: r.delivery("at"), Value: true}}
	unset := bson.D{{Key: r.delivery("next_at"), Value: ""}}
	if e.attempted {
		set = append(set, bson.E{Key: r.delivery(fieldAttempts), Value: int32(n.attempts + 1)})
		if isPrimary(r.Name) {
			set = append(set, bson.E{Key: fieldAttempts, Value: int32(n.attempts + 1)})
		}
	}
	if e.state.undelivered() {
		set = append(set, bson.E{Key: r.delivery(fieldLastError), Value: e.reason})
	}
	switch {
	case e.processed:
		set = append(set, bson.E{Key: "processed", Value: true})
		now = append(now, bson.E{Key: fieldProcessedAt, Value: true})
		if e.failure != "" {
			set = append(set, bson.E{Key: fieldError, Value: e.failure})
		}
		unset = append(unset, bson.E{Key: fieldClaim, Value: ""})
	case isPrimary(r.Name):
		// A listener of an earlier release does not read deliveries: this keeps it from
		// sending the notification again.
		set = append(set, bson.E{Key: fieldClaim + ".for", Value: maxWait.Milliseconds()})
		now = append(now, bson.E{Key: fieldClaim + ".at", Value: true})
		unset = append(unset, bson.E{Key: fieldClaim + ".by", Value: ""}, bson.E{Key: fieldClaim + ".since", Value: ""})
	}
	if !isPrimary(r.Name) {
		unset = append(unset, bson.E{Key: r.field(fieldClaim), Value: ""})
	}
	return transition{
		filter: r.held(n.id),
		update: bson.D{{Key: "$set", Value: set}, {Key: "$currentDate", Value: now}, {Key: "$unset", Value: unset}},
	}
}

// toEndedTogether is the transition of several notifications to their final state for one
// receiver, with one command: a killed listener has marked all of them or none.
func (r Receiver) toEndedTogether(ids bson.A, e ending) transition {
	set := bson.D{{Key: r.delivery("state"), Value: e.state}}
	now := bson.D{{Key: r.delivery("at"), Value: true}}
	if e.state.undelivered() {
		set = append(set, bson.E{Key: r.delivery(fieldLastError), Value: e.reason})
	}
	if e.processed {
		set = append(set, bson.E{Key: "processed", Value: true})
		now = append(now, bson.E{Key: fieldProcessedAt, Value: true})
		if e.failure != "" {
			set = append(set, bson.E{Key: fieldError, Value: e.failure})
		}
	}
	return transition{
		filter: bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, r.notEnded()},
		update: bson.D{
			{Key: "$set", Value: set},
			{Key: "$inc", Value: bson.D{{Key: r.delivery(fieldAttempts), Value: 1}}},
			{Key: "$currentDate", Value: now},
			{Key: "$unset", Value: bson.D{{Key: r.delivery("next_at"), Value: ""}, {Key: r.field(fieldClaim), Value: ""}}},
		},
	}
}

// toFailed releases the claim and starts a backoff. It does not match if another listener
// has claimed the notification meanwhile.
func (q queue) toFailed(r Receiver, n record, o delivery.Outcome, wait time.Duration) transition {
	claim := r.field(fieldClaim)
	now := bson.D{{Key: claim + ".at", Value: true}}
	if n.failingSince.IsZero() {
		now = append(now, bson.E{Key: claim + ".since", Value: true})
	}
	set := bson.D{
		{Key: r.field(fieldAttempts), Value: int32(n.attempts + 1)},
		{Key: r.field(fieldLastError), Value: o.Reason},
		{Key: claim + ".for", Value: wait.Milliseconds()},
	}
	if !isPrimary(r.Name) {
		set = append(set, bson.E{Key: r.delivery("next_at"), Value: bson.NewDateTimeFromTime(time.Now().Add(wait))})
	}
	return transition{
		filter: append(r.held(n.id), bson.E{Key: claim + ".by", Value: q.id}),
		update: bson.D{
			{Key: "$set", Value: set},
			{Key: "$currentDate", Value: now},
			{Key: "$unset", Value: bson.D{{Key: claim + ".by", Value: ""}}},
		},
	}
}

// toReleased restores the state before the claim.
func (q queue) toReleased(r Receiver, n record) transition {
	claim := r.field(fieldClaim)
	removed := bson.D{{Key: claim, Value: ""}}
	if !n.failingSince.IsZero() {
		removed = bson.D{{Key: claim + ".by", Value: ""}, {Key: claim + ".at", Value: ""}, {Key: claim + ".for", Value: ""}}
	}
	return transition{
		filter: append(r.held(n.id), bson.E{Key: claim + ".by", Value: q.id}),
		update: bson.D{{Key: "$unset", Value: removed}},
	}
}

// open selects a notification that can be claimed for the receiver.
func (r Receiver) open(id bson.RawValue) bson.D { return append(pending(id), r.notEnded()) }

// held selects a notification that was claimed for the receiver. A listener that does not know
// the receiver may have marked it as processed meanwhile; this is final only for the primary
// receiver.
func (r Receiver) held(id bson.RawValue) bson.D {
	if isPrimary(r.Name) {
		return r.open(id)
	}
	return bson.D{{Key: "_id", Value: id}, r.notEnded()}
}

func (r Receiver) notEnded() bson.E { return bson.E{Key: r.delivery("state"), Value: nil} }

// failureOf returns the text of the field error: the receivers without a delivery and the
// reasons. It is empty if all receivers got the notification.
func failureOf(n record, receivers []Receiver) string {
	text := ""
	for _, r := range receivers {
		if p := n.deliveries[r.Name]; p.state.undelivered() {
			if text != "" {
				text += "; "
			}
			text += r.describe(p.lastError)
		}
	}
	return text
}
