package listener

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/retry"
)

// worker delivers one record.
type worker struct {
	*Listener
	queue    queue
	receiver Receiver
	answers  *answers
}

// pause is the backoff of a record and its reason; the zero value is none.
type pause struct {
	// length is its duration.
	length time.Duration
	// fixed reports whether only time ends it: its reason is not stored in the queue.
	fixed bool
	// misconfigured is set if the answer indicates a misconfiguration.
	misconfigured bool
	// queueFailed is set if the queue was not available.
	queueFailed bool
}

// result is the result of a worker run.
type result struct {
	// key is that of the record.
	key string
	// done reports whether the record is processed. If not, pause says when to try again.
	done  bool
	pause pause
}

// process delivers a record, unless the context is canceled.
func (w worker) process(ctx context.Context, n record) result {
	if ctx.Err() != nil {
		return result{key: n.key(), pause: pause{length: time.Second}}
	}
	p := w.handle(ctx, n)
	return result{key: n.key(), done: p.length == 0, pause: p}
}

// handle processes one record, or returns its backoff.
func (w worker) handle(stopping context.Context, n record) pause {
	ctx, cancel := retry.Outlasting(stopping, stopGrace+updateGrace)
	defer cancel()
	doc, ok, err := w.queue.claim(ctx, n.id)
	if err != nil {
		return w.queueUnavailable(err)
	}
	if !ok {
		return w.whyNotClaimed(ctx, n.id)
	}
	claimed := time.Now()
	n = parseRecord(doc)
	if what := malformed(doc); what != "" {
		w.Log.Error("notification is malformed", zap.Stringer("_id", n.id), zap.String("reason", what))
		return w.finish(ctx, toMalformed(n, what), resultMalformed)
	}
	candidates, err := w.queue.candidates(ctx, n)
	if err != nil {
		return w.release(ctx, n, w.queueUnavailable(err))
	}
	switch what, counterpart := decide(n, candidates, w.Database); what {
	case skip:
		w.Log.Info("skipped a duplicate notification",
			zap.Stringer("_id", n.id), zap.Stringer("duplicate_of", counterpart.id))
		return w.finish(ctx, toDuplicate(n, counterpart), resultDuplicate)
	case waitForCounterpart:
		return w.release(ctx, n, pause{length: counterpartBackoff, fixed: true})
	}
	request, cancel := retry.Outlasting(stopping, stopGrace)
	defer cancel()
	request, cancel = context.WithDeadline(request, claimed.Add(claimLength-claimMargin))
	defer cancel()
	return w.attempt(ctx, request, n, doc)
}

// claimMargin is the minimum validity of a claim after the end of the request.
const claimMargin = 2 * time.Second

// attempt sends one request. The request has its own context: it must end before the
// claim expires, with time left for the update.
func (w worker) attempt(ctx, request context.Context, n record, doc bson.Raw) pause {
	doc, err := w.queue.withActor(ctx, doc)
	if err != nil {
		return w.release(ctx, n, w.queueUnavailable(err))
	}
	message, err := newMessage(doc)
	if err != nil {
		return w.finish(ctx, toMalformed(n, err.Error()), resultMalformed)
	}
	o := w.receiver.Target.Deliver(request, message)
	if o.Verdict != delivery.Delivered && errors.Is(request.Err(), context.Canceled) {
		// Canceled by shutdown: whether the request was received is not known.
		return w.release(ctx, n, pause{length: time.Second})
	}
	o = w.answers.judge(n.key(), writtenAt(doc), o, time.Now())
	w.Metrics.Attempts.WithLabelValues(o.Verdict.String()).Inc()
	switch o.Verdict {
	case delivery.Delivered:
		if n.timed {
			w.Metrics.Latency.Observe(max(0, float64(time.Now().UnixMilli())/1000-n.seconds))
		}
		w.Log.Debug("notification delivered", zap.Stringer("_id", n.id))
		return w.finish(ctx, toDelivered(n), resultDelivered)
	case delivery.Rejected:
		w.Log.Error("notification rejected", zap.Stringer("_id", n.id), zap.String("reason", o.Reason))
		return w.finish(ctx, toRejected(n, o), resultRejected)
	case delivery.Misconfigured:
		return w.release(ctx, n, pause{length: misconfigurationBackoff, fixed: true, misconfigured: true})
	default:
		return w.retry(ctx, n, o)
	}
}

func (w worker) retry(ctx context.Context, n record, o delivery.Outcome) pause {
	var failing time.Duration
	if !n.failingSince.IsZero() {
		failing = time.Since(n.failingSince)
	}
	wait := retryWait(n.attempts+1, failing, o.RetryAfter)
	level := zap.DebugLevel
	if tries := n.attempts + 1; tries&(tries-1) == 0 { // the first, second, fourth, eighth, …
		level = zap.WarnLevel
	}
	w.Log.Log(level, "delivery failed, retrying", zap.Stringer("_id", n.id),
		zap.Int64("attempts", n.attempts+1), zap.Duration("retry_in", wait), zap.String("reason", o.Reason))
	if err := w.retryUntilDone(ctx, w.queue.toFailed(n, o, wait)); err != nil {
		return w.queueUnavailable(err)
	}
	return pause{length: wait}
}

// whyNotClaimed returns the backoff after a claim that did not succeed.
func (w worker) whyNotClaimed(ctx context.Context, id bson.RawValue) pause {
	n, ok, err := w.queue.peek(ctx, id)
	switch {
	case err != nil:
		return w.queueUnavailable(err)
	case !ok || !n.pending:
		return pause{}
	}
	return pause{length: max(n.wait(), time.Millisecond)}
}

// finish applies a final transition. It retries until that succeeds: a delivered
// notification must not be delivered again.
func (w worker) finish(ctx context.Context, m transition, label string) pause {
	if err := w.retryUntilDone(ctx, m); err != nil {
		return w.queueUnavailable(err)
	}
	w.Metrics.Deliveries.WithLabelValues(label).Inc()
	return pause{}
}

// release releases a claim and returns p. If that fails, the claim expires.
func (w worker) release(ctx context.Context, n record, p pause) pause {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateGrace)
	defer cancel()
	if err := w.queue.apply(ctx, w.queue.toReleased(n)); err != nil {
		w.Log.Debug("could not release a claim", zap.Stringer("_id", n.id), zap.Error(err))
	}
	return p
}

// queueUnavailable records an error of the queue, which is not the notification's.
func (w worker) queueUnavailable(err error) pause {
	w.queueFailed(err)
	return pause{length: time.Second, fixed: true, queueFailed: true}
}

func (w worker) retryUntilDone(ctx context.Context, m transition) error {
	b := retry.NewBackOff(maxBackoff)
	for {
		err := w.queue.apply(ctx, m)
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
