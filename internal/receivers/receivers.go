// Package receivers sends notifications to chat, pagers and webhooks: the filters of the receivers
// in RECEIVERS_FILE, rendering, and sending. The listener is responsible for queue, order and
// retries.
package receivers

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/notification"
)

// Receiver is one destination of notifications.
type Receiver struct {
	Name   string
	Filter notification.Filter
	// Digest is how long notifications are collected before they are sent as one message;
	// zero: each is sent separately.
	Digest time.Duration
	// Rate limits the messages; the zero value means no limit.
	Rate Rate
	// GiveUpAfter is the age at which an undelivered notification expires; zero: never.
	GiveUpAfter time.Duration

	template template
	backend  *delivery.Backend
}

// Backend returns the receiver of BACKEND_URL: it gets every notification unchanged and separately,
// and its notifications do not expire.
func Backend(url string, secret delivery.Secret, agent string) (Receiver, error) {
	backend, err := delivery.NewBackend(url, secret, agent)
	if err != nil {
		return Receiver{}, err
	}
	return Receiver{Name: reserved, template: document{}, backend: backend}, nil
}

// reserved is the name of the receiver of BACKEND_URL.
const reserved = "backend"

// Rate is a number of messages in a time.
type Rate struct {
	Messages int
	Per      time.Duration
}

// Interval is the minimum time between two messages, zero if there is no limit.
func (r Rate) Interval() time.Duration {
	if r.Messages == 0 {
		return 0
	}
	return r.Per / time.Duration(r.Messages)
}

// Notification is one notification to send.
type Notification struct {
	// ID is the same for every attempt, so that a receiver can detect duplicates.
	ID string
	// Document is the stored document without the fields of the listener.
	Document bson.Raw
	// Test marks a sample.
	Test bool
}

// template renders notifications as the body of one request. It accepts one or more.
type template interface {
	render(all []Notification) (payload, error)
}

// resolver is a template for a target in which an alert remains open until it is resolved.
type resolver interface {
	resolve(all []Notification) (payload, error)
}

// payload is the body of a request.
type payload struct {
	body        []byte
	contentType string
}

// Send sends notifications as one message, all or none. A message that cannot be rendered is
// Rejected; Render shows which of several notifications cannot be rendered.
func (r Receiver) Send(ctx context.Context, all []Notification) delivery.Outcome {
	outcome, _ := r.exchange(ctx, all, r.template.render)
	return outcome
}

// Render returns the body that Send would send, without the secrets in it.
func (r Receiver) Render(all []Notification) ([]byte, error) {
	t := r.template
	if p, ok := t.(pagerDuty); ok {
		p.routingKey = "(secret)"
		t = p
	}
	p, err := t.render(all)
	return p.body, err
}

// Exchange is one request with its response.
type Exchange struct {
	// Action is send or resolve.
	Action  string
	Outcome delivery.Outcome
	Answer  delivery.Answer
}

// Test sends a sample and returns the responses. If the target keeps alerts open, the sample is
// resolved at once.
func (r Receiver) Test(ctx context.Context, sample Notification) []Exchange {
	all := []Notification{sample}
	outcome, answer := r.exchange(ctx, all, r.template.render)
	done := []Exchange{{Action: "send", Outcome: outcome, Answer: answer}}
	if closing, ok := r.template.(resolver); ok && outcome.Verdict == delivery.Delivered {
		outcome, answer = r.exchange(ctx, all, closing.resolve)
		done = append(done, Exchange{Action: "resolve", Outcome: outcome, Answer: answer})
	}
	return done
}

func (r Receiver) exchange(
	ctx context.Context, all []Notification, render func([]Notification) (payload, error),
) (delivery.Outcome, delivery.Answer) {
	p, err := render(all)
	if err != nil {
		return delivery.Outcome{Verdict: delivery.Rejected, Reason: "render: " + err.Error()}, delivery.Answer{}
	}
	return r.backend.Exchange(ctx, delivery.Message{ID: messageID(all), Body: p.body, ContentType: p.contentType})
}

// Destination identifies the URL, without its secrets.
func (r Receiver) Destination() string { return r.backend.Destination() }

// Close closes idle connections.
func (r Receiver) Close() { r.backend.Close() }
