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

// maxBatch is how many notifications of a partition are processed before other partitions
// get a worker.
const maxBatch = 32

// worker delivers the records of a partition in order, up to the first that has to wait.
type worker struct {
	*Listener
	queue     queue
	partition partition
}

// pause is the backoff of a partition and its reason; the zero value is none.
type pause struct {
	// length is its duration.
	length time.Duration
	// fixed reports whether it ends only by time or with another first record: its reason
	// is not stored in the queue.
	fixed bool
	// misconfiguration is set if an operator has to fix something.
	misconfiguration string
}

// result is the result of a worker run.
type result struct {
	partition partition
	// done is the number of records processed.
	done  int
	pause pause
}

// process processes records in order. It stops between two if the context is canceled.
func (t worker) process(ctx context.Context, records []record) result {
	for i, n := range records {
		if i == maxBatch || ctx.Err() != nil {
			return result{partition: t.partition, done: i}
		}
		if p := t.handle(ctx, n); p.length > 0 {
			return result{partition: t.partition, done: i, pause: p}
		}
	}
	return result{partition: t.partition, done: len(records)}
}

// handle processes one record, or returns the backoff of the partition.
func (t worker) handle(stopping context.Context, n record) pause {
	ctx, cancel := retry.Outlasting(stopping, stopGrace+updateGrace)
	defer cancel()
	doc, ok, err := t.queue.claim(ctx, n.id)
	if err != nil {
		return t.queueUnavailable(err)
	}
	if !ok {
		return t.whyNotClaimed(ctx, n.id)
	}
	claimed := time.Now()
	n = parseRecord(doc)
	if what := malformed(doc); what != "" {
		t.Log.Error("notification is malformed", zap.Stringer("_id", n.id), zap.String("reason", what))
		return t.finish(ctx, toMalformed(n, what), resultMalformed)
	}
	candidates, err := t.queue.candidates(ctx, n)
	if err != nil {
		return t.release(ctx, n, t.queueUnavailable(err))
	}
	switch what, counterpart := decide(n, candidates, t.Database); what {
	case skip:
		t.Log.Info("skipped a duplicate notification",
			zap.Stringer("_id", n.id), zap.Stringer("duplicate_of", counterpart.id))
		return t.finish(ctx, toDuplicate(n, counterpart), resultDuplicate)
	case waitForCounterpart:
		return t.release(ctx, n, pause{length: counterpartBackoff, fixed: true})
	}
	request, cancel := retry.Outlasting(stopping, stopGrace)
	defer cancel()
	request, cancel = context.WithDeadline(request, claimed.Add(claimLength-claimMargin))
	defer cancel()
	return t.attempt(ctx, request, n, doc)
}

// claimMargin is the minimum validity of a claim after the end of the request.
const claimMargin = 2 * time.Second

// attempt sends one request. The request has its own context: it must end before the
// claim expires, with time left for the update.
func (t worker) attempt(ctx, request context.Context, n record, doc bson.Raw) pause {
	message, err := newMessage(doc)
	if err != nil {
		return t.finish(ctx, toMalformed(n, err.Error()), resultMalformed)
	}
	o := t.Target.Deliver(request, message)
	if o.Verdict != delivery.Delivered && errors.Is(request.Err(), context.Canceled) {
		// Canceled by shutdown: whether the request was received is not known.
		return t.release(ctx, n, pause{length: time.Second})
	}
	t.Metrics.Attempts.WithLabelValues(o.Verdict.String()).Inc()
	switch o.Verdict {
	case delivery.Delivered:
		if n.timed {
			t.Metrics.Latency.Observe(max(0, float64(time.Now().UnixMilli())/1000-n.seconds))
		}
		t.Log.Debug("notification delivered", zap.Stringer("_id", n.id))
		return t.finish(ctx, toDelivered(n), resultDelivered)
	case delivery.Rejected:
		t.Log.Error("notification rejected by the backend", zap.Stringer("_id", n.id), zap.String("reason", o.Reason))
		return t.finish(ctx, toRejected(n, o), resultRejected)
	case delivery.Misconfigured:
		return t.release(ctx, n, pause{length: misconfigurationBackoff, fixed: true, misconfiguration: o.Reason})
	default:
		return t.retry(ctx, n, o)
	}
}

func (t worker) retry(ctx context.Context, n record, o delivery.Outcome) pause {
	var failing time.Duration
	if !n.failingSince.IsZero() {
		failing = time.Since(n.failingSince)
	}
	wait := retryWait(n.attempts+1, failing, o.RetryAfter)
	level := zap.DebugLevel
	if tries := n.attempts + 1; tries&(tries-1) == 0 { // the first, second, fourth, eighth, …
		level = zap.WarnLevel
	}
	t.Log.Log(level, "delivery failed, retrying", zap.Stringer("_id", n.id),
		zap.Int64("attempts", n.attempts+1), zap.Duration("retry_in", wait), zap.String("reason", o.Reason))
	if err := t.retryUntilDone(ctx, t.queue.toFailed(n, o, wait)); err != nil {
		return t.queueUnavailable(err)
	}
	return pause{length: wait}
}

// whyNotClaimed returns the backoff after a claim that did not succeed.
func (t worker) whyNotClaimed(ctx context.Context, id bson.RawValue) pause {
	n, ok, err := t.queue.peek(ctx, id)
	switch {
	case err != nil:
		return t.queueUnavailable(err)
	case !ok || !n.pending:
		return pause{}
	}
	return pause{length: max(n.wait(), time.Millisecond)}
}

// finish applies a final transition. It retries until that succeeds: a delivered
// notification must not be delivered again.
func (t worker) finish(ctx context.Context, m transition, label string) pause {
	if err := t.retryUntilDone(ctx, m); err != nil {
		return t.queueUnavailable(err)
	}
	t.Metrics.Deliveries.WithLabelValues(label).Inc()
	return pause{}
}

// release releases a claim and returns p. If that fails, the claim expires.
func (t worker) release(ctx context.Context, n record, p pause) pause {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateGrace)
	defer cancel()
	if err := t.queue.apply(ctx, t.queue.toReleased(n)); err != nil {
		t.Log.Debug("could not release a claim", zap.Stringer("_id", n.id), zap.Error(err))
	}
	return p
}

// queueUnavailable records an error of the queue, which is not the notification's.
func (t worker) queueUnavailable(err error) pause {
	t.queueFailed(err)
	return pause{length: time.Second, fixed: true}
}

func (t worker) retryUntilDone(ctx context.Context, m transition) error {
	b := retry.NewBackOff(maxBackoff)
	for {
		err := t.queue.apply(ctx, m)
		if err == nil || ctx.Err() != nil {
			return err
		}
		wait := b.NextBackOff()
		t.queueFailed(err)
		if !retry.Sleep(ctx, wait) {
			return err
		}
	}
}
