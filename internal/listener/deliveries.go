package listener

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// state is the final state of a notification for one receiver, in its field deliveries. It is
// empty while the notification is pending.
type state string

const (
	stateDelivered state = "delivered"
	stateRejected  state = "rejected"
	// stateSkipped is the state of a notification that is older than the receiver's registration,
	// or whose duplicate the receiver gets.
	stateSkipped state = "skipped"
	// stateExpired is the state of a notification that was not delivered within GiveUpAfter.
	stateExpired state = "expired"
)

// ReceiverResults returns the final states of a delivery.
func ReceiverResults() []string {
	return []string{string(stateDelivered), string(stateRejected), string(stateSkipped), string(stateExpired)}
}

// undelivered reports whether the state is final without delivery.
func (s state) undelivered() bool { return s == stateRejected || s == stateExpired }

// progress is the delivery state of a notification for one receiver.
type progress struct {
	state        state
	attempts     int64
	lastError    string
	failingSince time.Time
	claimedBy    string
	// free is when the claim or backoff ends, on the server's clock; zero if there is none.
	free time.Time
}

// sent reports whether the receiver may have got the notification.
func (p progress) sent() bool { return p.attempts > 0 || p.state == stateDelivered }

// parseProgress reads the progress in a document: the fields attempts, last_error and claim
// of the primary receiver are those of the notification itself.
func parseProgress(doc bson.Raw) progress {
	p := progress{state: state(text(doc, "state")), lastError: text(doc, fieldLastError), claimedBy: text(doc, fieldClaim, "by")}
	p.attempts, _ = doc.Lookup(fieldAttempts).AsInt64OK()
	p.failingSince, _ = doc.Lookup(fieldClaim, "since").TimeOK()
	if at, ok := doc.Lookup(fieldClaim, "at").TimeOK(); ok {
		length, _ := doc.Lookup(fieldClaim, "for").AsInt64OK()
		p.free = at.Add(min(time.Duration(length)*time.Millisecond, maxWait))
	}
	return p
}

// parseDeliveries reads the progress of each receiver that the notification names.
func parseDeliveries(doc bson.Raw) map[string]progress {
	deliveries, ok := doc.Lookup(fieldDeliveries).DocumentOK()
	if !ok {
		return nil
	}
	elements, err := deliveries.Elements()
	if err != nil {
		return nil
	}
	all := map[string]progress{}
	for _, e := range elements {
		if delivery, ok := e.Value().DocumentOK(); ok {
			all[e.Key()] = parseProgress(delivery)
		}
	}
	return all
}
