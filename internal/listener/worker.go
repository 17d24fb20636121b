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

// turnLength is how many notifications a lane may hand over before the others get
// their turn.
const maxBatch = 32

// turn hands over what a lane holds, in its order, until the first that has to wait.
type worker struct {
	*Listener
	queue     queue
	partition partition
}

// pause says that a lane has to wait, and why; the zero value says that it has not.
type pause struct {
	// length is how long.
	length time.Duration
	// firm says that only time ends it, or another first notification: the queue
	// does not show the reason.
	fixed bool
	// mistake is set where a person has to mend something.
	misconfiguration string
}

// turnEnd is how a turn went.
type result struct {
	partition partition
	// done is how many of the page are out of the way.
	done  int
	pause pause
}

// take works through a page. The context's end stops it between two notifications.
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

// handle sees that one notification is handed over, or says how long the lane has
// to wait.
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
		t.Log.Error("a notification is malformed", zap.Stringer("_id", n.id), zap.String("reason", what))
		return t.finish(ctx, refused(n, what), resultMalformed)
	}
	candidates, err := t.queue.candidates(ctx, n)
	if err != nil {
		return t.release(ctx, n, t.queueUnavailable(err))
	}
	switch what, counterpart := decide(n, candidates, t.Database); what {
	case skip:
		t.Log.Info("the other notification of this change has been handed over",
			zap.Stringer("_id", n.id), zap.Stringer("duplicate_of", counterpart.id))
		return t.finish(ctx, duplicate(n, counterpart), resultDuplicate)
	case waitForCounterpart:
		return t.release(ctx, n, pause{length: counterpartBackoff, fixed: true})
	}
	request, cancel := retry.Outlasting(stopping, stopGrace)
	defer cancel()
	request, cancel = context.WithDeadline(request, claimed.Add(claimLength-claimMargin))
	defer cancel()
	return t.attempt(ctx, request, n, doc)
}

// claimMargin is what is left of a claim when the request must be over.
const claimMargin = 2 * time.Second

// attempt makes one request, which has a context of its own: it must end before the
// claim does, and leave time for a mark.
func (t worker) attempt(ctx, request context.Context, n record, doc bson.Raw) pause {
	message, err := newMessage(doc)
	if err != nil {
		return t.finish(ctx, refused(n, err.Error()), resultMalformed)
	}
	o := t.Target.Deliver(request, message)
	if o.Verdict != delivery.Delivered && errors.Is(request.Err(), context.Canceled) {
		// Cut by the end of this process: whether it arrived is not known.
		return t.release(ctx, n, pause{length: time.Second})
	}
	t.Metrics.Attempts.WithLabelValues(o.Verdict.String()).Inc()
	switch o.Verdict {
	case delivery.Delivered:
		if n.timed {
			t.Metrics.Latency.Observe(max(0, float64(time.Now().UnixMilli())/1000-n.seconds))
		}
		t.Log.Debug("handed over", zap.Stringer("_id", n.id))
		return t.finish(ctx, delivered(n), resultDelivered)
	case delivery.Rejected:
		t.Log.Error("a notification is refused for good", zap.Stringer("_id", n.id), zap.String("reason", o.Reason))
		return t.finish(ctx, rejected(n, o), resultRejected)
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
	if tries := n.attempts + 1; tries&(tries-1) == 0 { // the first, and ever fewer of the rest
		level = zap.WarnLevel
	}
	t.Log.Log(level, "a notification could not be handed over", zap.Stringer("_id", n.id),
		zap.Int64("attempts", n.attempts+1), zap.Duration("again_in", wait), zap.String("reason", o.Reason))
	if err := t.retryUntilDone(ctx, t.queue.failed(n, o, wait)); err != nil {
		return t.queueUnavailable(err)
	}
	return pause{length: wait}
}

// notMine finds out why a notification could not be claimed.
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

// finish puts a notification out of the way. Its mark is tried until it works: what
// was handed over must not be handed over again.
func (t worker) finish(ctx context.Context, m transition, label string) pause {
	if err := t.retryUntilDone(ctx, m); err != nil {
		return t.queueUnavailable(err)
	}
	t.Metrics.Deliveries.WithLabelValues(label).Inc()
	return pause{}
}

// giveBack ends a claim and passes the pause on. If that fails the claim ends by itself.
func (t worker) release(ctx context.Context, n record, p pause) pause {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateGrace)
	defer cancel()
	if err := t.queue.apply(ctx, t.queue.released(n)); err != nil {
		t.Log.Debug("a claim could not be given back", zap.Stringer("_id", n.id), zap.Error(err))
	}
	return p
}

// trouble says that the queue cannot be used. It is no fault of the notification.
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
