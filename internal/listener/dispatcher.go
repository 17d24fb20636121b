package listener

import (
	"context"
	"time"
)

// dispatcher delivers to one receiver. It belongs to the loop's goroutine; its workers run
// concurrently.
type dispatcher struct {
	*Listener
	receiver  Receiver
	answers   *answers
	scheduler *scheduler
	// running is the number of running workers.
	running int
	// closed is set while attempts are limited to one a minute; last is the record of the
	// last one.
	closed bool
	last   string
}

// end is the result of a worker of a dispatcher.
type end struct {
	*dispatcher
	result
}

func (l *Listener) newDispatcher(r Receiver) *dispatcher {
	return &dispatcher{Listener: l, receiver: r, answers: &answers{}, scheduler: newScheduler()}
}

// start starts workers while records are ready and the receiver's answers allow it.
func (d *dispatcher) start(ctx context.Context, now time.Time, run func(func() end)) {
	d.scheduler.wake(now)
	limit, _ := d.answers.workers(now)
	for d.running < limit {
		n, ok := d.scheduler.next(d.avoid())
		if !ok {
			return
		}
		d.last = n.key()
		d.running++
		w := worker{Listener: d.Listener, queue: d.currentQueue(), receiver: d.receiver, answers: d.answers}
		run(func() end { return end{d, w.process(ctx, n)} })
	}
}

// finish applies the result of a worker, and reports whether another scan is needed.
func (d *dispatcher) finish(r result, now time.Time) (scan bool) {
	d.running--
	scan = d.scheduler.finished(r, now)
	before := d.closed
	if d.closed = d.answers.closed(); before && !d.closed {
		// The misconfiguration has ended: what waits for its minute to end need not.
		d.scheduler.release(now)
	}
	return scan
}

// avoid returns the record that is not attempted next if another can be: during a
// misconfiguration, one that the receiver never accepts must not take every attempt.
func (d *dispatcher) avoid() string {
	if d.closed {
		return d.last
	}
	return ""
}

// nextWake returns when there may be something to start; zero if only an event can change
// that.
func (d *dispatcher) nextWake(now time.Time) time.Time {
	wake := d.scheduler.nextWake()
	if _, next := d.answers.workers(now); !next.IsZero() && len(d.scheduler.ready) > 0 && (wake.IsZero() || next.Before(wake)) {
		return next
	}
	return wake
}
