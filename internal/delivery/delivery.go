// Package delivery sends notifications to a backend by HTTP, or to a pipe. It does not
// depend on the queue.
package delivery

import "time"

// Message is one notification to send.
type Message struct {
	// ID is the same for every attempt of one notification, so that a receiver can
	// detect duplicates.
	ID string
	// Body is the body to send; for a Stream one JSON object without a newline.
	Body []byte
	// ContentType is the content type of the body; empty for application/json.
	ContentType string
}

// Verdict is the result of an attempt.
type Verdict int

// The verdicts.
const (
	// Retry: a temporary failure. It is the zero value, so that a missing verdict is retried.
	Retry Verdict = iota
	// Delivered: the receiver accepted it.
	Delivered
	// Rejected: the receiver will never accept this notification.
	Rejected
	// Refused: the receiver does not accept this body, because of the notification or of a
	// wrong configuration. The sender decides from the receiver's other responses whether it
	// is Rejected or Misconfigured.
	Refused
	// Misconfigured: the URL or the credentials are wrong; an operator has to fix them.
	Misconfigured
)

// String returns the verdict's name in metrics and logs.
func (v Verdict) String() string {
	switch v {
	case Delivered:
		return "delivered"
	case Rejected:
		return "rejected"
	case Refused:
		return "refused"
	case Misconfigured:
		return "misconfigured"
	default:
		return "retry"
	}
}

// Verdicts returns the verdicts that end an attempt: all except Refused.
func Verdicts() []Verdict { return []Verdict{Retry, Delivered, Rejected, Misconfigured} }

// Outcome is a verdict with its details.
type Outcome struct {
	Verdict Verdict
	// Reason is why the notification was not delivered. It never contains a URL or a
	// credential.
	Reason string
	// RetryAfter is the minimum backoff that the receiver requested; zero if none.
	RetryAfter time.Duration
}
