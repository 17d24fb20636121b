package listener

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/delivery"
)

// Receiver is one destination of notifications, with its own order, retries and final states.
type Receiver struct {
	// Name is unique. It is part of the names of fields: no dots, no dollar signs.
	Name   string
	Target Target
	// Destination identifies what the target sends to, without secrets. A receiver that has the
	// same after a reload keeps its rate, its Retry-After and that it has accepted notifications.
	Destination string
	// Includes reports whether the receiver gets a notification; nil: it gets all.
	Includes func(doc bson.Raw) bool
	// Digest is how long notifications are collected to be sent as one message; zero: each
	// is sent separately.
	Digest time.Duration
	// Interval is the minimum time between two messages.
	Interval time.Duration
	// GiveUpAfter is the age at which an undelivered notification expires; zero: never.
	GiveUpAfter time.Duration
	// Remedy is what to check if the responses indicate a misconfiguration.
	Remedy string
}

// Target sends notifications as one message, all or none. Deliver must be safe for
// concurrent use.
type Target interface {
	Deliver(ctx context.Context, all []Notification) delivery.Outcome
}

// The receivers configured by BACKEND_URL and --stdout. Earlier releases know only these, and
// store their progress in the document's fields claim, attempts and last_error.
const (
	BackendReceiver = "backend"
	StdoutReceiver  = "stdout"
)

func isPrimary(receiver string) bool {
	return receiver == BackendReceiver || receiver == StdoutReceiver
}

func (r Receiver) includes(doc bson.Raw) bool { return r.Includes == nil || r.Includes(doc) }

// field returns the path of a field with the receiver's progress.
func (r Receiver) field(name string) string {
	if isPrimary(r.Name) {
		return name
	}
	return r.delivery(name)
}

// delivery returns the path of a field of the receiver in deliveries.
func (r Receiver) delivery(name string) string { return fieldDeliveries + "." + r.Name + "." + name }

// describe returns the reason of an undelivered notification for the field error.
func (r Receiver) describe(reason string) string {
	if isPrimary(r.Name) {
		return reason
	}
	return fmt.Sprintf("%s: %s", r.Name, reason)
}

// tooOld reports whether a notification has expired for the receiver. If it is not known when
// it was written, its age is counted from its first failed attempt.
func (r Receiver) tooOld(n record, now time.Time) bool {
	since := n.written
	if since.IsZero() {
		since = n.failingSince
	}
	return r.GiveUpAfter > 0 && !since.IsZero() && now.Sub(since) >= r.GiveUpAfter
}
