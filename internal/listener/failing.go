package listener

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Failing is a pending notification whose delivery to a receiver has failed so far. It blocks
// later ones of its collections.
type Failing struct {
	ID        string `json:"id"`
	Operation string `json:"operation"`
	// Subject is the namespace, or the database of a dropped one; empty for a HISTORY_GAP.
	Subject  string `json:"ns"`
	Receiver string `json:"receiver"`
	Attempts int64  `json:"attempts"`
	// Reason is the result of the last attempt.
	Reason string `json:"last_error"`
}

// FirstFailing returns the failing notification with the first position, nil if there is
// none.
func FirstFailing(ctx context.Context, coll *mongo.Collection) (*Failing, error) {
	tried := bson.D{{Key: "$or", Value: bson.A{
		bson.D{{Key: fieldLastError, Value: bson.D{{Key: "$exists", Value: true}}}},
		bson.D{{Key: fieldDeliveries, Value: bson.D{{Key: "$exists", Value: true}}}},
	}}}
	var first *record
	filter := bson.D{{Key: "$and", Value: bson.A{unprocessed(), tried}}}
	err := queue{coll: coll}.each(ctx, filter, func(n record, _ bson.Raw) {
		if failing := failingOf(n); failing != nil && (first == nil || n.compare(*first) < 0) {
			first = &n
		}
	})
	if err != nil || first == nil {
		return nil, err
	}
	return failingOf(*first), nil
}

// failingOf returns the failed delivery of a notification to the first such receiver by name;
// nil if there is none.
func failingOf(n record) *Failing {
	var found *Failing
	consider := func(receiver string, p progress) {
		if p.state != "" || p.attempts == 0 || found != nil && found.Receiver < receiver {
			return
		}
		found = &Failing{
			ID: shownID(n.id), Operation: n.operation, Subject: subject(n), Receiver: receiver, Attempts: p.attempts, Reason: p.lastError,
		}
	}
	for name, p := range n.deliveries {
		if !isPrimary(name) {
			consider(name, p)
		}
	}
	if n.deliveries[BackendReceiver].state == "" && n.deliveries[StdoutReceiver].state == "" {
		consider(BackendReceiver, n.progress)
	}
	return found
}

// shownID returns an _id in the form that `ddltail redeliver` accepts; JSON for other types.
func shownID(id bson.RawValue) string {
	if oid, ok := id.ObjectIDOK(); ok {
		return oid.Hex()
	}
	if s, ok := id.StringValueOK(); ok {
		return s
	}
	return id.String()
}

func subject(n record) string {
	if n.collection == "" || n.database == "" {
		return n.database + n.collection
	}
	return n.database + "." + n.collection
}
