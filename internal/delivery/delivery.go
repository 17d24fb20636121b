// Package delivery hands notifications over: to a backend by HTTP, or to a pipe.
// It knows nothing of the queue they come from.
package delivery

import "time"

// Message is one notification on its way.
type Message struct {
	// ID is the same for every attempt at one notification: a receiver that keeps
	// the last ones knows a duplicate by it.
	ID string
	// Body is one JSON object, without a line end.
	Body []byte
}

// Verdict is what an attempt means for the notification.
type Verdict int

// The verdicts.
const (
	// Retry: not this time, but waiting may help. The zero value, since it loses nothing.
	Retry Verdict = iota
	// Delivered: the receiver has it.
	Delivered
	// Rejected: the receiver will never take this notification.
	Rejected
	// Misconfigured: the receiver is not the one that takes notifications, or does
	// not know us. A person has to mend it.
	Misconfigured
)

// String is the verdict's name in metrics and logs.
func (v Verdict) String() string {
	switch v {
	case Delivered:
		return "delivered"
	case Rejected:
		return "rejected"
	case Misconfigured:
		return "misconfigured"
	default:
		return "retry"
	}
}

// Verdicts lists all of them.
func Verdicts() []Verdict { return []Verdict{Retry, Delivered, Rejected, Misconfigured} }

// Outcome is how an attempt ended.
type Outcome struct {
	Verdict Verdict
	// Reason says why the notification was not delivered. It never holds a URL or a
	// credential.
	Reason string
	// RetryAfter is how long the receiver asked to be left alone; zero if it did not.
	RetryAfter time.Duration
}
