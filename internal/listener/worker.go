package listener

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/retry"
)

// worker delivers to one receiver.
type worker struct {
	*Listener
	queue    queue
	receiver Receiver
	// receivers are all receivers of the listener.
	receivers []Receiver
	// foreign are the receivers that only other listeners have.
	foreign []string
	answers *answers
}

// pause is the backoff of a record and its reason; the zero value is none.
type pause struct {
	// length is its duration.
	length time.Duration
	// fixed reports whether only time ends it: its reason is not stored in the queue.
	fixed bool
	// misconfigured is set if the response indicates a misconfiguration.
	misconfigured bool
	// queueFailed is set if the queue was not available.
	queueFailed bool
	// scan is set if a scan is needed before the next attempt.
	scan bool
	// retryAfter is the receiver's Retry-After.
	retryAfter time.Duration
	// split bounds the next message after a rejected one of several notifications; zero: no bound.
	split int
}

// result is the result of a worker run.
type result struct {
	// key is the key of the record, digest the keys of a digest.
	key    string
	digest []string
	// refused are those of a digest that the server refuses to update.
	refused []string
	// done reports whether the record has ended for the receiver. If not, the pause says
	// when to try again.
	done bool
	pause
}

// process delivers a record, unless the context is canceled.
func (w worker) process(ctx context.Context, n record) result {
	if ctx.Err() != nil {
		return result{key: n.key(), pause: pause{length: time.Second}}
	}
	p := w.handle(ctx, n)
	return result{key: n.key(), done: p.length == 0, pause: p}
}

// claimed is a notification that this listener has claimed, with its whole document.
type claimed struct {
	record
	doc bson.Raw
	// at is when it was claimed, on this process's clock.
	at time.Time
}

// handle processes one record, or returns its backoff.
func (w worker) handle(stopping context.Context, n record) pause {
	ctx, cancel := retry.Outlasting(stopping, stopGrace+updateGrace)
	defer cancel()
	doc, ok, err := w.queue.claim(ctx, w.receiver, n.id)
	if err != nil {
		return w.queueUnavailable(err)
	}
	if !ok {
		return w.whyNotClaimed(ctx, n.id)
	}
	c := claimed{record: parseRecord(doc).view(w.receiver.Name), doc: doc, at: time.Now()}
	if what := malformed(doc); what != "" {
		return w.malformed(ctx, c, what)
	}
	candidates, err := w.queue.candidates(ctx, c.record, w.receivers)
	if err != nil {
		return w.release(ctx, c, w.queueUnavailable(err))
	}
	switch what, counterpart := decide(c.record, candidates, w.Database); what {
	case skip:
		if w.getsCounterpart(counterpart) {
			return w.skip(ctx, c, counterpart)
		}
	case waitForCounterpart:
		return w.release(ctx, c, pause{length: counterpartBackoff, fixed: true})
	}
	request, cancel := w.requestContext(stopping, c.at)
	defer cancel()
	return w.attempt(ctx, request, c)
}

// requestContext returns the context of a request: it must end before the claim expires,
// with time left for the update.
func (w worker) requestContext(stopping context.Context, claimedAt time.Time) (context.Context, context.CancelFunc) {
	request, cancel := retry.Outlasting(stopping, stopGrace)
	request, cancelDeadline := context.WithDeadline(request, claimedAt.Add(claimLength-claimMargin))
	return request, func() {
		cancelDeadline()
		cancel()
	}
}

// claimMargin is the minimum validity of a claim after the end of the request.
const claimMargin = 2 * time.Second

// getsCounterpart reports whether the receiver also gets the counterpart of a notification:
// its filter may select only one of them.
func (w worker) getsCounterpart(counterpart record) bool {
	return !slices.Contains(counterpart.excluded, w.receiver.Name)
}

func (w worker) malformed(ctx context.Context, c claimed, what string) pause {
	w.Log.Error("notification is malformed", zap.Stringer("_id", c.id), zap.String("reason", what))
	return w.finish(ctx, c, toMalformed(c.record, what), resultMalformed)
}

// attempt sends one request. The request has its own context.
func (w worker) attempt(ctx, request context.Context, c claimed) pause {
	one := []claimed{c}
	if err := w.queue.addActors(ctx, one); err != nil {
		return w.release(ctx, c, w.queueUnavailable(err))
	}
	n, err := newNotification(one[0].doc)
	if err != nil {
		return w.malformed(ctx, c, err.Error())
	}
	o := w.receiver.Target.Deliver(request, []Notification{n})
	if o.Verdict != delivery.Delivered && errors.Is(request.Err(), context.Canceled) {
		// Canceled by shutdown: whether the request was received is not known.
		return w.release(ctx, c, pause{length: time.Second})
	}
	o = w.answers.judge(c.key(), c.written, o, time.Now())
	w.Metrics.Attempts.WithLabelValues(o.Verdict.String()).Inc()
	switch o.Verdict {
	case delivery.Delivered:
		w.observeLatency(c.record)
		w.Log.Debug("notification delivered", zap.Stringer("_id", c.id), zap.String("receiver", w.receiver.Name))
		return w.conclude(ctx, c, ending{state: stateDelivered, attempted: true})
	case delivery.Rejected:
		return w.conclude(ctx, c, ending{state: stateRejected, reason: o.Reason, attempted: true})
	}
	if w.receiver.tooOld(c.record, time.Now()) {
		return w.conclude(ctx, c, ending{state: stateExpired, reason: "expired: " + o.Reason, attempted: true})
	}
	if o.Verdict == delivery.Misconfigured {
		return w.release(ctx, c, pause{length: misconfigurationBackoff, fixed: true, misconfigured: true})
	}
	return w.retry(ctx, c, o)
}

func (w worker) observeLatency(n record) {
	if n.timed {
		w.Metrics.Latency.Observe(max(0, float64(time.Now().UnixMilli())/1000-n.seconds))
	}
}

func (w worker) retry(ctx context.Context, c claimed, o delivery.Outcome) pause {
	wait := w.backoff(c.record, o)
	level := zap.DebugLevel
	if tries := c.attempts + 1; tries&(tries-1) == 0 { // the first, second, fourth, eighth, …
		level = zap.WarnLevel
	}
	w.Log.Log(level, "delivery failed, retrying", zap.Stringer("_id", c.id), zap.String("receiver", w.receiver.Name),
		zap.Int64("attempts", c.attempts+1), zap.Duration("retry_in", wait), zap.String("reason", o.Reason))
	if err := w.retryUntilDone(ctx, c.id, w.queue.toFailed(w.receiver, c.record, o, wait)); err != nil {
		return w.queueUnavailable(err)
	}
	return pause{length: wait, retryAfter: o.RetryAfter}
}

// backoff returns the wait after a failed attempt.
func (w worker) backoff(n record, o delivery.Outcome) time.Duration {
	var failing time.Duration
	if !n.failingSince.IsZero() {
		failing = time.Since(n.failingSince)
	}
	return retryWait(n.attempts+1, failing, o.RetryAfter)
}

// whyNotClaimed returns the backoff after a claim that did not succeed.
func (w worker) whyNotClaimed(ctx context.Context, id bson.RawValue) pause {
	n, ok, err := w.queue.peek(ctx, id)
	if err != nil {
		return w.queueUnavailable(err)
	}
	own := n.view(w.receiver.Name)
	switch {
	case !ok || own.state != "":
		return pause{}
	case n.processed && !isPrimary(w.receiver.Name) && n.byListener() && n.duplicateOf.IsZero():
		// By a listener that does not know the receiver: a scan reopens it.
		return pause{length: time.Second, scan: true}
	case !n.pending:
		return pause{}
	}
	return pause{length: max(own.wait(), time.Millisecond)}
}

// conclude ends a notification for the receiver, and marks it as processed if it has ended
// for all.
func (w worker) conclude(ctx context.Context, c claimed, e ending) pause {
	if e.state.undelivered() {
		w.Log.Error("notification "+string(e.state), zap.Stringer("_id", c.id), zap.String("receiver", w.receiver.Name), zap.String("reason", e.reason))
	}
	after := c.after(w.receiver.Name, e)
	receivers := receiversOf(w.receivers, c.doc)
	e.processed = w.endedForAll(after, receivers)
	e.failure = failureOf(after, receivers)
	if err := w.retryUntilDone(ctx, c.id, w.receiver.toEnded(c.record, e)); err != nil {
		return w.queueUnavailable(err)
	}
	w.Metrics.ReceiverDeliveries.WithLabelValues(w.receiver.Name, string(e.state)).Inc()
	if e.processed {
		w.Metrics.Deliveries.WithLabelValues(resultOf(after, receivers)).Inc()
		return pause{}
	}
	return w.complete(ctx, c.id)
}

// endedForAll reports whether a notification has ended for these receivers, which get it,
// and for those of other listeners.
func (w worker) endedForAll(n record, receivers []Receiver) bool {
	return n.endedFor(receivers) && n.endedForAll(w.foreign)
}

// complete marks a notification as processed if it has ended for all receivers by now. If it
// fails, the next scan does it.
func (w worker) complete(ctx context.Context, id bson.RawValue) pause {
	doc, ok, err := w.queue.read(ctx, id)
	if err != nil || !ok {
		return pause{}
	}
	n := parseRecord(doc)
	receivers := receiversOf(w.receivers, doc)
	if !n.pending || !w.endedForAll(n, receivers) {
		return pause{}
	}
	changed, err := w.queue.applyAll(ctx, []transition{toComplete(n, receivers)})
	if err == nil && changed > 0 {
		w.Metrics.Deliveries.WithLabelValues(resultOf(n, receivers)).Inc()
	}
	return pause{}
}

// skip marks a duplicate as skipped: for all receivers if all of them get its counterpart,
// else only for this one.
func (w worker) skip(ctx context.Context, c claimed, counterpart record) pause {
	for _, r := range receiversOf(w.receivers, c.doc) {
		if slices.Contains(counterpart.excluded, r.Name) {
			return w.conclude(ctx, c, ending{state: stateSkipped})
		}
	}
	w.Log.Info("skipped a duplicate notification",
		zap.Stringer("_id", c.id), zap.Stringer("duplicate_of", counterpart.id))
	return w.finish(ctx, c, toDuplicate(c.record, counterpart), resultDuplicate)
}

// finish applies a final transition of the notification itself. It retries until that
// succeeds: a delivered notification must not be delivered again.
func (w worker) finish(ctx context.Context, c claimed, m transition, label string) pause {
	if err := w.retryUntilDone(ctx, c.id, m); err != nil {
		return w.queueUnavailable(err)
	}
	w.Metrics.Deliveries.WithLabelValues(label).Inc()
	return pause{}
}

// release releases a claim and returns p. If that fails, the claim expires.
func (w worker) release(ctx context.Context, c claimed, p pause) pause {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateGrace)
	defer cancel()
	if err := w.queue.apply(ctx, w.receiver, c.id, w.queue.toReleased(w.receiver, c.record)); err != nil {
		w.Log.Debug("could not release a claim", zap.Stringer("_id", c.id), zap.Error(err))
	}
	return p
}

// queueUnavailable records an error that is caused by the queue, not by the notification.
func (w worker) queueUnavailable(err error) pause {
	w.queueFailed(err)
	return pause{length: time.Second, fixed: true, queueFailed: true}
}

func (w worker) retryUntilDone(ctx context.Context, id bson.RawValue, m transition) error {
	b := retry.NewBackOff(maxBackoff)
	for {
		err := w.queue.apply(ctx, w.receiver, id, m)
		if err == nil || ctx.Err() != nil {
			return err
		}
		wait := b.NextBackOff()
		w.queueFailed(err)
		if !retry.Sleep(ctx, wait) {
			return err
		}
	}
}
