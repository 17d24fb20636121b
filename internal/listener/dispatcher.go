package listener

import (
	"context"
	"time"
)

// dispatcher delivers to one receiver. It is used only by the loop's goroutine; its workers
// run concurrently.
type dispatcher struct {
	*Listener
	receiver  Receiver
	answers   *answers
	scheduler *scheduler
	// running is the number of running workers.
	running int
	// closed is set while attempts are limited to one a minute.
	closed bool
	// nextSend is when the receiver accepts the next message; dueAt is when the digest that
	// is collected is sent, zero if none is.
	nextSend, dueAt time.Time
	// gathered is set if dueAt includes the wait for records whose backoffs end soon.
	gathered bool
	// most bounds the next message after a rejected one; zero: maxDigest.
	most int
	// successor has replaced this dispatcher; nil if none has.
	successor *dispatcher
	// loop has the other receivers.
	loop *loop
}

// end is the result of a worker of a dispatcher.
type end struct {
	*dispatcher
	result
}

// current returns the dispatcher that has replaced d, or d.
func (d *dispatcher) current() *dispatcher {
	for d.successor != nil {
		d = d.successor
	}
	return d
}

func (w *loop) newDispatcher(r Receiver) *dispatcher {
	return &dispatcher{Listener: w.Listener, receiver: r, answers: &answers{}, scheduler: newScheduler(), loop: w}
}

// continueFrom takes over from the dispatcher that had the receiver before a reload. The pace and
// the acceptance of the same destination remain known; a misconfiguration may have been fixed.
func (d *dispatcher) continueFrom(before *dispatcher, now time.Time) {
	d.scheduler, d.running = before.scheduler, before.running
	d.scheduler.release(now)
	if d.receiver.Destination == before.receiver.Destination {
		d.answers, d.nextSend = before.answers.reloaded(), before.nextSend
	}
	before.successor = d
}

// start starts workers while records are ready and the receiver's responses and rate allow it.
func (d *dispatcher) start(ctx context.Context, now time.Time, run func(func() end)) {
	d.scheduler.wake(now)
	if d.receiver.Digest > 0 {
		d.startDigest(ctx, now, run)
		return
	}
	limit, _ := d.answers.workers(now)
	for d.running < limit && !d.nextSend.After(now) {
		n, ok := d.nextRecord()
		if !ok {
			return
		}
		d.begin(now)
		w := d.worker()
		run(func() end { return end{d, w.process(ctx, n)} })
	}
}

// gatherWindow is how long a digest that is due waits for records whose claims or backoffs
// end. Those of one message do not end in the same millisecond, but are sent again as one.
const gatherWindow = time.Second

// startDigest starts a worker for all ready records, if the digest is due.
func (d *dispatcher) startDigest(ctx context.Context, now time.Time, run func(func() end)) {
	if len(d.scheduler.ready) == 0 {
		d.dueAt, d.gathered = time.Time{}, false
		return
	}
	if d.dueAt.IsZero() {
		// Counted from when the first was written, so that a restart does not delay it.
		d.dueAt = now.Add(d.receiver.Digest)
		if written := d.scheduler.ready[0].written; !written.IsZero() && written.Before(now) {
			d.dueAt = written.Add(d.receiver.Digest)
		}
	}
	limit, _ := d.answers.workers(now)
	if d.running > 0 || limit == 0 || d.dueAt.After(now) || d.nextSend.After(now) {
		return
	}
	if last := d.scheduler.lastWake(now.Add(gatherWindow)); !d.gathered && !last.IsZero() {
		d.dueAt, d.gathered = last, true
		return
	}
	d.dueAt, d.gathered = time.Time{}, false
	batch := d.batch(now)
	d.begin(now)
	w := d.worker()
	run(func() end { return end{d, w.digest(ctx, batch)} })
}

// nextRecord returns the record to attempt next.
func (d *dispatcher) nextRecord() (record, bool) {
	if d.closed {
		return d.scheduler.probe()
	}
	return d.scheduler.next()
}

// batch returns the records of the next message. During a misconfiguration it is one: another one
// of the same message may be the reason for the response.
func (d *dispatcher) batch(now time.Time) []record {
	if d.closed {
		n, _ := d.scheduler.probe()
		return []record{n}
	}
	if d.most > 0 {
		return d.scheduler.batch(d.most, now)
	}
	return d.scheduler.batch(maxDigest, now)
}

// begin counts a worker and a message.
func (d *dispatcher) begin(now time.Time) {
	d.running++
	if d.receiver.Interval > 0 {
		d.nextSend = now.Add(d.receiver.Interval)
	}
}

func (d *dispatcher) worker() worker {
	return worker{
		Listener: d.Listener, queue: d.currentQueue(), receiver: d.receiver, answers: d.answers,
		receivers: d.loop.receivers(), foreign: d.loop.registered.foreign,
	}
}

// finish applies the result of a worker, and reports whether another scan is needed.
func (d *dispatcher) finish(r result, now time.Time) (scan bool) {
	d.running--
	if next := now.Add(r.retryAfter); !isPrimary(d.receiver.Name) && next.After(d.nextSend) {
		// The receiver's rate limit applies to all messages, not to this notification.
		d.nextSend = next
	}
	if r.digest != nil {
		d.scheduler.returned(r, now)
		if scan = true; r.split > 0 || r.length == 0 {
			d.most = r.split
		}
	} else {
		scan = d.scheduler.finished(r, now)
	}
	before := d.closed
	if d.closed = d.answers.closed(); before && !d.closed {
		// The misconfiguration has ended: notifications in its backoff are ready.
		d.scheduler.release(now)
	}
	return scan
}

// nextWake returns when a worker may be started; zero if only an event can change that.
func (d *dispatcher) nextWake(now time.Time) time.Time {
	wake := d.scheduler.nextWake()
	if len(d.scheduler.ready) == 0 {
		return wake
	}
	limit, next := d.answers.workers(now)
	for _, at := range []time.Time{d.nextSend, d.dueAt} {
		if at.After(next) {
			next = at
		}
	}
	if next.After(now) && (limit == 0 || d.running < limit) && (wake.IsZero() || next.Before(wake)) {
		return next
	}
	return wake
}
