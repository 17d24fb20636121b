package listener

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/delivery"
)

// transition is a state change of one notification. The zero value changes nothing.
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

// toProcessed is the transition to a final state, with further fields to set.
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

func toDelivered(n record) transition {
	return toProcessed(n, bson.E{Key: fieldAttempts, Value: int32(n.attempts + 1)})
}

func toRejected(n record, o delivery.Outcome) transition {
	return toProcessed(n, bson.E{Key: fieldAttempts, Value: int32(n.attempts + 1)}, bson.E{Key: fieldError, Value: o.Reason})
}

func toMalformed(n record, reason string) transition {
	return toProcessed(n, bson.E{Key: fieldError, Value: reason})
}

func toDuplicate(n, of record) transition {
	return toProcessed(n, bson.E{Key: fieldDuplicateOf, Value: of.id})
}

// toFailed releases the claim and starts a backoff. It does not match if another listener
// has claimed the notification meanwhile.
func (q queue) toFailed(n record, o delivery.Outcome, wait time.Duration) transition {
	now := bson.D{{Key: fieldClaim + ".at", Value: true}}
	if n.failingSince.IsZero() {
		now = append(now, bson.E{Key: fieldClaim + ".since", Value: true})
	}
	return transition{
		filter: append(pending(n.id), bson.E{Key: fieldClaim + ".by", Value: q.id}),
		update: bson.D{
			{Key: "$set", Value: bson.D{
				{Key: fieldAttempts, Value: int32(n.attempts + 1)},
				{Key: fieldLastError, Value: o.Reason},
				{Key: fieldClaim + ".for", Value: wait.Milliseconds()},
			}},
			{Key: "$currentDate", Value: now},
			{Key: "$unset", Value: bson.D{{Key: fieldClaim + ".by", Value: ""}}},
		},
	}
}

// toReleased restores the state before the claim.
func (q queue) toReleased(n record) transition {
	removed := bson.D{{Key: fieldClaim, Value: ""}}
	if !n.failingSince.IsZero() {
		removed = bson.D{
			{Key: fieldClaim + ".by", Value: ""}, {Key: fieldClaim + ".at", Value: ""}, {Key: fieldClaim + ".for", Value: ""},
		}
	}
	return transition{
		filter: append(pending(n.id), bson.E{Key: fieldClaim + ".by", Value: q.id}),
		update: bson.D{{Key: "$unset", Value: removed}},
	}
}
