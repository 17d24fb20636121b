package listener

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/delivery"
)

// mark is a change of one notification's state. The zero value changes nothing.
type mark struct {
	filter, update bson.D
}

// processed ends a notification's way, with further fields to be set.
func processed(n notice, more ...bson.E) mark {
	return mark{
		filter: pending(n.id),
		update: bson.D{
			{Key: "$set", Value: append(bson.D{{Key: "processed", Value: true}}, more...)},
			{Key: "$currentDate", Value: bson.D{{Key: fieldProcessedAt, Value: true}}},
			{Key: "$unset", Value: bson.D{{Key: fieldClaim, Value: ""}}},
		},
	}
}

func delivered(n notice) mark {
	return processed(n, bson.E{Key: fieldAttempts, Value: int32(n.attempts + 1)})
}

func rejected(n notice, o delivery.Outcome) mark {
	return processed(n, bson.E{Key: fieldAttempts, Value: int32(n.attempts + 1)}, bson.E{Key: fieldError, Value: o.Reason})
}

func refused(n notice, reason string) mark {
	return processed(n, bson.E{Key: fieldError, Value: reason})
}

func duplicate(n, of notice) mark {
	return processed(n, bson.E{Key: fieldDuplicateOf, Value: of.id})
}

// failed returns the notification back, to be taken again after the wait. A claim
// that another listener has taken meanwhile stays as it is.
func (s store) failed(n notice, o delivery.Outcome, wait time.Duration) mark {
	now := bson.D{{Key: fieldClaim + ".at", Value: true}}
	if n.failingSince.IsZero() {
		now = append(now, bson.E{Key: fieldClaim + ".since", Value: true})
	}
	return mark{
		filter: append(pending(n.id), bson.E{Key: fieldClaim + ".by", Value: s.me}),
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

// released returns the notification back as it was before the claim.
func (s store) released(n notice) mark {
	gone := bson.D{{Key: fieldClaim, Value: ""}}
	if !n.failingSince.IsZero() {
		gone = bson.D{
			{Key: fieldClaim + ".by", Value: ""}, {Key: fieldClaim + ".at", Value: ""}, {Key: fieldClaim + ".for", Value: ""},
		}
	}
	return mark{
		filter: append(pending(n.id), bson.E{Key: fieldClaim + ".by", Value: s.me}),
		update: bson.D{{Key: "$unset", Value: gone}},
	}
}

// apply makes one attempt at a mark. A document that has changed its state since,
// or is gone, is left alone.
func (s store) apply(ctx context.Context, m mark) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if _, err := s.coll.UpdateOne(ctx, m.filter, m.update); err != nil {
		return fmt.Errorf("mark a notification: %w", err)
	}
	return nil
}
