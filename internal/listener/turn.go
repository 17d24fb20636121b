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
const turnLength = 32

// turn hands over what a lane holds, in its order, until the first that has to wait.
type turn struct {
	*Listener
	store store
	lane  lane
}

// pause says that a lane has to wait, and why; the zero value says that it has not.
type pause struct {
	// length is how long.
	length time.Duration
	// firm says that only time ends it, or another first notification: the queue
	// does not show the reason.
	firm bool
	// mistake is set where a person has to mend something.
	mistake string
}

// turnEnd is how a turn went.
type turnEnd struct {
	lane lane
	// done is how many of the page are out of the way.
	done  int
	pause pause
}

// take works through a page. The context's end stops it between two notifications.
func (t turn) take(ctx context.Context, notices []notice) turnEnd {
	for i, n := range notices {
		if i == turnLength || ctx.Err() != nil {
			return turnEnd{lane: t.lane, done: i}
		}
		if p := t.handle(ctx, n); p.length > 0 {
			return turnEnd{lane: t.lane, done: i, pause: p}
		}
	}
	return turnEnd{lane: t.lane, done: len(notices)}
}

// handle sees that one notification is handed over, or says how long the lane has
// to wait.
func (t turn) handle(stopping context.Context, n notice) pause {
	ctx, cancel := retry.Outlasting(stopping, stopGrace+lastWord)
	defer cancel()
	doc, ok, err := t.store.claim(ctx, n.id)
	if err != nil {
		return t.trouble(err)
	}
	if !ok {
		return t.notMine(ctx, n.id)
	}
	claimed := time.Now()
	n = parseNotice(doc)
	if what := malformed(doc); what != "" {
		t.Log.Error("a notification is malformed", zap.Stringer("_id", n.id), zap.String("reason", what))
		return t.finish(ctx, refused(n, what), resultMalformed)
	}
	related, err := t.store.related(ctx, n)
	if err != nil {
		return t.giveBack(ctx, n, t.trouble(err))
	}
	switch what, partner := decide(n, related, t.Database); what {
	case skip:
		t.Log.Info("the other notification of this change has been handed over",
			zap.Stringer("_id", n.id), zap.Stringer("duplicate_of", partner.id))
		return t.finish(ctx, duplicate(n, partner), resultDuplicate)
	case waitForPartner:
		return t.giveBack(ctx, n, pause{length: partnerPause, firm: true})
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
func (t turn) attempt(ctx, request context.Context, n notice, doc bson.Raw) pause {
	message, err := newMessage(doc)
	if err != nil {
		return t.finish(ctx, refused(n, err.Error()), resultMalformed)
	}
	o := t.Target.Deliver(request, message)
	if o.Verdict != delivery.Delivered && errors.Is(request.Err(), context.Canceled) {
		// Cut by the end of this process: whether it arrived is not known.
		return t.giveBack(ctx, n, pause{length: time.Second})
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
		return t.giveBack(ctx, n, pause{length: mistakeWait, firm: true, mistake: o.Reason})
	default:
		return t.retry(ctx, n, o)
	}
}

func (t turn) retry(ctx context.Context, n notice, o delivery.Outcome) pause {
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
	if err := t.insist(ctx, t.store.failed(n, o, wait)); err != nil {
		return t.trouble(err)
	}
	return pause{length: wait}
}

// notMine finds out why a notification could not be claimed.
func (t turn) notMine(ctx context.Context, id bson.RawValue) pause {
	n, ok, err := t.store.peek(ctx, id)
	switch {
	case err != nil:
		return t.trouble(err)
	case !ok || !n.pending:
		return pause{}
	}
	return pause{length: max(n.wait(), time.Millisecond)}
}

// finish puts a notification out of the way. Its mark is tried until it works: what
// was handed over must not be handed over again.
func (t turn) finish(ctx context.Context, m mark, result string) pause {
	if err := t.insist(ctx, m); err != nil {
		return t.trouble(err)
	}
	t.Metrics.Deliveries.WithLabelValues(result).Inc()
	return pause{}
}

// giveBack ends a claim and passes the pause on. If that fails the claim ends by itself.
func (t turn) giveBack(ctx context.Context, n notice, p pause) pause {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	if err := t.store.apply(ctx, t.store.released(n)); err != nil {
		t.Log.Debug("a claim could not be given back", zap.Stringer("_id", n.id), zap.Error(err))
	}
	return p
}

// trouble says that the queue cannot be used. It is no fault of the notification.
func (t turn) trouble(err error) pause {
	t.queueFailed(err)
	return pause{length: time.Second, firm: true}
}

func (t turn) insist(ctx context.Context, m mark) error {
	b := retry.NewBackOff(longestWait)
	for {
		err := t.store.apply(ctx, m)
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
