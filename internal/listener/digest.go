package listener

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/refusal"
	"github.com/ddltail/ddltail/internal/retry"
)

const (
	// maxDigest bounds the notifications of one message, maxDigestBytes the total size of
	// their documents.
	maxDigest      = 5000
	maxDigestBytes = 32 << 20
)

// digest sends records as one message. They are in order of position, and no earlier record
// is pending in their partitions.
func (w worker) digest(stopping context.Context, records []record) result {
	keys := make([]string, len(records))
	for i, n := range records {
		keys[i] = n.key()
	}
	if stopping.Err() != nil {
		return result{digest: keys, pause: pause{length: time.Second}}
	}
	ctx, cancel := retry.Outlasting(stopping, stopGrace+updateGrace)
	defer cancel()
	p, refused := w.collect(ctx, stopping, records)
	return result{digest: keys, refused: refused, pause: p}
}

// collect claims the records and sends the claimed ones. If the server refuses to update some, it sends nothing and returns their keys: what
// has to wait for them is found out by the scheduler.
func (w worker) collect(ctx, stopping context.Context, records []record) (p pause, refused []string) {
	began := time.Now()
	got, refusals, err := w.queue.claimAll(ctx, w.receiver, records)
	if err == nil && len(refusals.keys) == 0 {
		return w.sendClaimed(ctx, stopping, records, got, began), nil
	}
	w.releaseAll(ctx, slices.Collect(maps.Values(got)))
	if err != nil {
		return w.queueUnavailable(err), nil
	}
	w.queueFailed(refusals.reason)
	return pause{length: time.Millisecond}, refusals.keys
}

// sendClaimed sends the claimed records that can be sent in order.
func (w worker) sendClaimed(ctx, stopping context.Context, records []record, got map[string]claimed, began time.Time) pause {
	all, rest := w.sendable(ctx, records, got, began)
	w.releaseAll(ctx, rest)
	if len(all) == 0 {
		return pause{length: counterpartBackoff, fixed: true}
	}
	if err := w.queue.addActors(ctx, all); err != nil {
		w.releaseAll(ctx, all)
		return w.queueUnavailable(err)
	}
	request, cancel := w.requestContext(stopping, began)
	defer cancel()
	return w.send(ctx, request, all)
}

// sendable splits the claimed notifications into the first ones, which can be sent in order,
// and the rest. The rest begins at the first one that another listener has claimed or that
// waits for its counterpart. Malformed notifications and duplicates get their final state here.
func (w worker) sendable(ctx context.Context, records []record, all map[string]claimed, began time.Time) (send, rest []claimed) {
	counterparts, err := w.queue.counterparts(ctx, all, w.receivers)
	if err != nil {
		w.queueFailed(err)
	}
	open, bytes := err == nil, 0
	for _, n := range records {
		c, ok := all[n.key()]
		if !ok {
			open = open && w.whyNotClaimed(ctx, n.id).length == 0
			continue
		}
		c.at = began
		bytes += len(c.doc)
		open = open && (bytes <= maxDigestBytes || len(send) == 0)
		switch {
		case !open:
			rest = append(rest, c)
		case malformed(c.doc) != "":
			w.malformed(ctx, c, malformed(c.doc))
		case w.isDuplicate(ctx, c, counterparts, &open):
		case !open:
			rest = append(rest, c)
		default:
			send = append(send, c)
		}
	}
	return send, rest
}

// isDuplicate ends a notification whose counterpart was delivered. It sets open to false if
// the counterpart is still to be delivered first.
func (w worker) isDuplicate(ctx context.Context, c claimed, known counterparts, open *bool) bool {
	switch what, counterpart := decide(c.record, known.of(c.record), w.Database); what {
	case skip:
		if w.getsCounterpart(counterpart) {
			w.skip(ctx, c, counterpart)
			// A counterpart has one duplicate: the next notification of the same change is sent.
			c.duplicateOf = counterpart.id
			known.add(c.record)
			return true
		}
	case waitForCounterpart:
		*open = false
	}
	return false
}

// send sends one message. After a rejected one, the next has half as many notifications, since
// one of them can be the cause.
func (w worker) send(ctx, request context.Context, all []claimed) pause {
	notifications := make([]Notification, 0, len(all))
	for _, c := range all {
		n, err := newNotification(c.doc)
		if err != nil {
			w.releaseAll(ctx, all)
			return w.queueUnavailable(err)
		}
		notifications = append(notifications, n)
	}
	o := w.receiver.Target.Deliver(request, notifications)
	if o.Verdict != delivery.Delivered && request.Err() != nil {
		w.releaseAll(ctx, all)
		if errors.Is(request.Err(), context.Canceled) {
			return pause{length: time.Second}
		}
	}
	if rejected := o.Verdict == delivery.Rejected || o.Verdict == delivery.Refused && w.answers.accepts(); rejected && len(all) > 1 {
		w.Log.Debug("digest rejected, sending half of it", zap.String("receiver", w.receiver.Name), zap.Int("notifications", len(all)),
			zap.String("reason", o.Reason))
		w.Metrics.Attempts.WithLabelValues(delivery.Rejected.String()).Inc()
		w.releaseAll(ctx, all)
		return pause{length: time.Millisecond, split: len(all) / 2}
	}
	o = w.answers.judge(all[0].key(), all[0].written, o, time.Now())
	w.Metrics.Attempts.WithLabelValues(o.Verdict.String()).Inc()
	return w.endDigest(ctx, all, o)
}

// endDigest records the outcome of a message for all its notifications.
func (w worker) endDigest(ctx context.Context, all []claimed, o delivery.Outcome) pause {
	switch o.Verdict {
	case delivery.Delivered:
		w.Log.Debug("digest delivered", zap.String("receiver", w.receiver.Name), zap.Int("notifications", len(all)))
		return w.concludeAll(ctx, all, ending{state: stateDelivered, attempted: true})
	case delivery.Rejected:
		return w.concludeAll(ctx, all, ending{state: stateRejected, reason: o.Reason, attempted: true})
	}
	expired, pending := w.splitExpired(all)
	if len(expired) > 0 {
		if p := w.concludeAll(ctx, expired, ending{state: stateExpired, reason: "expired: " + o.Reason, attempted: true}); p.length > 0 {
			return p
		}
	}
	if len(pending) == 0 {
		return pause{}
	}
	if o.Verdict == delivery.Misconfigured {
		w.releaseAll(ctx, pending)
		return pause{length: misconfigurationBackoff, fixed: true, misconfigured: true}
	}
	return w.retryAll(ctx, pending, o)
}

func (w worker) splitExpired(all []claimed) (expired, pending []claimed) {
	for _, c := range all {
		if w.receiver.tooOld(c.record, time.Now()) {
			expired = append(expired, c)
		} else {
			pending = append(pending, c)
		}
	}
	return expired, pending
}

func (w worker) retryAll(ctx context.Context, all []claimed, o delivery.Outcome) pause {
	wait := w.backoff(all[0].record, o)
	w.Log.Warn("digest failed, retrying", zap.String("receiver", w.receiver.Name), zap.Int("notifications", len(all)),
		zap.Duration("retry_in", wait), zap.String("reason", o.Reason))
	failed := make([]transition, len(all))
	for i, c := range all {
		failed[i] = w.queue.toFailed(w.receiver, c.record, o, wait)
	}
	if _, err := w.queue.applyAll(ctx, failed); err != nil {
		return w.queueUnavailable(err)
	}
	return pause{length: wait, retryAfter: o.RetryAfter}
}

// concludeAll ends notifications for the receiver, all or none.
func (w worker) concludeAll(ctx context.Context, all []claimed, e ending) pause {
	ids := make(bson.A, len(all))
	after := make([]record, len(all))
	alike := true
	for i, c := range all {
		ids[i], after[i] = c.id, c.after(w.receiver.Name, e)
		receivers := receiversOf(w.receivers, c.doc)
		processed, failure := w.endedForAll(after[i], receivers), failureOf(after[i], receivers)
		if i == 0 {
			e.processed, e.failure = processed, failure
		}
		alike = alike && processed == e.processed && failure == e.failure
	}
	if !alike {
		e.processed, e.failure = false, ""
	}
	if err := w.endTogether(ctx, all, ids, e); err != nil {
		return w.queueUnavailable(err)
	}
	w.Metrics.ReceiverDeliveries.WithLabelValues(w.receiver.Name, string(e.state)).Add(float64(len(all)))
	if e.state.undelivered() {
		w.Log.Error("notifications "+string(e.state), zap.String("receiver", w.receiver.Name), zap.Int("number", len(all)),
			zap.String("reason", e.reason))
	}
	for i, c := range all {
		if e.processed {
			w.Metrics.Deliveries.WithLabelValues(resultOf(after[i], receiversOf(w.receivers, c.doc))).Inc()
		}
	}
	return pause{} // the next scan marks notifications that have ended for all as processed
}

// maxTogether is the number of attempts to mark the notifications of a message with one
// transaction before they are marked one by one.
const maxTogether = 5

// endTogether marks notifications with one transaction, with retries. It marks them one by one
// if the server refuses to update one of them, or after maxTogether attempts. A refused one stays as it is.
func (w worker) endTogether(ctx context.Context, all []claimed, ids bson.A, e ending) error {
	b := retry.NewBackOff(maxBackoff)
	for attempt := 1; ; attempt++ {
		err := w.queue.applyToMany(ctx, w.receiver.toEndedTogether(ids, e))
		if err != nil && (refusal.Is(err) || notViable(err) || attempt >= maxTogether) {
			err = w.endEach(ctx, all, e)
		}
		if err == nil || ctx.Err() != nil || refusal.Is(err) {
			return err
		}
		w.queueFailed(err)
		retry.Sleep(ctx, b.NextBackOff())
	}
}

func (w worker) endEach(ctx context.Context, all []claimed, e ending) error {
	endings := make([]transition, len(all))
	for i, c := range all {
		endings[i] = w.receiver.toEnded(c.record, e)
	}
	_, err := w.queue.applyAll(ctx, endings)
	return err
}

func (w worker) releaseAll(ctx context.Context, all []claimed) {
	if len(all) == 0 {
		return
	}
	released := make([]transition, len(all))
	for i, c := range all {
		released[i] = w.queue.toReleased(w.receiver, c.record)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateGrace)
	defer cancel()
	if _, err := w.queue.applyAll(ctx, released); err != nil {
		w.Log.Debug("could not release claims", zap.Error(err)) // they expire
	}
}
