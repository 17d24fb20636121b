package listener

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/retry"
)

// loop scans the queue and starts workers, in one goroutine.
type loop struct {
	*Listener
	// dispatchers holds one for each receiver, in their order.
	dispatchers []*dispatcher
	// registered holds the receivers that are not primary; its map is nil until they are
	// registered.
	registered registered
	workers    sync.WaitGroup
	results    chan end
	// updated receives whether another scan is needed when the updates of a scan are done;
	// updating is set until then.
	updated  chan bool
	updating bool
	// scanAt is when the next scan is due; notBefore delays it, so that a queue that takes
	// long to scan is not scanned continuously.
	scanAt, notBefore time.Time
	// took is the duration of the last scan.
	took time.Duration
	// incomplete is set if there may be notifications that only a scan finds.
	incomplete bool
	reads      reads
	// scanned is the server's time before the last scan, zero before the first.
	scanned time.Time
	pause   interface {
		NextBackOff() time.Duration
		Reset()
	}
}

// work runs the loop until the context is canceled, and returns when all workers have ended.
func (l *Listener) work(ctx context.Context) {
	w := &loop{Listener: l, results: make(chan end), updated: make(chan bool, 1), pause: retry.NewBackOff(maxBackoff)}
	w.adopt(l.currentReceivers())
	for ctx.Err() == nil {
		if replaced := l.takeReplaced(); replaced != nil {
			w.adopt(replaced)
		}
		if !w.scanAt.After(time.Now()) {
			w.scan(ctx)
		}
		for _, d := range w.dispatchers {
			d.start(ctx, time.Now(), w.run)
		}
		w.report()
		w.wait(ctx)
	}
	w.reads.end(ctx)
	go func() {
		w.workers.Wait()
		close(w.results)
	}()
	for range w.results { // the results of a stopped loop change nothing
	}
}

// run starts a worker.
func (w *loop) run(work func() end) { w.workers.Go(func() { w.results <- work() }) }

// wait returns when there may be work.
func (w *loop) wait(ctx context.Context) {
	timer := time.NewTimer(time.Until(w.nextWakeup()))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.wakeups():
		w.extend(ctx)
	case e := <-w.results:
		w.end(e)
	case scan := <-w.updated:
		w.updating = false
		if now := time.Now(); scan {
			w.scanBy(now)
		} else {
			w.settleAfter(now)
		}
	case <-timer.C:
	}
}

// adopt replaces the receivers. Receivers with an existing name continue where they are.
func (w *loop) adopt(receivers []Receiver) {
	before := w.dispatchers
	w.dispatchers = nil
	for _, r := range receivers {
		d := w.newDispatcher(r)
		if i := slices.IndexFunc(before, func(b *dispatcher) bool { return b.receiver.Name == r.Name }); i >= 0 {
			d.continueFrom(before[i], time.Now())
		}
		w.dispatchers = append(w.dispatchers, d)
	}
	w.registered, w.incomplete = registered{}, true
	w.scanAt, w.notBefore = time.Time{}, time.Time{}
	w.Metrics.SetReceivers(names(receivers))
}

func names(receivers []Receiver) []string {
	all := make([]string, len(receivers))
	for i, r := range receivers {
		all[i] = r.Name
	}
	return all
}

// receivers returns the current ones.
func (w *loop) receivers() []Receiver {
	all := make([]Receiver, len(w.dispatchers))
	for i, d := range w.dispatchers {
		all[i] = d.receiver
	}
	return all
}

func (w *loop) scan(ctx context.Context) {
	began := time.Now()
	found, err := w.read(ctx)
	now := time.Now()
	if err != nil {
		if ctx.Err() == nil {
			w.queueFailed(err)
		}
		w.reads.end(ctx)
		w.incomplete = true
		w.scanAt = now.Add(w.pause.NextBackOff())
		w.notBefore = w.scanAt
		return
	}
	w.pause.Reset()
	w.incomplete = false
	w.Credentials.Worked()
	w.took = now.Sub(began)
	w.scanAt, w.notBefore = now.Add(scanInterval), now.Add(2*w.took)
	w.Status.queueRead(found.total)
	w.Metrics.Queue(float64(found.total), found.oldest)
	held := map[sourcePartition]bool{}
	for _, d := range w.dispatchers {
		b := found.backlogs[d.receiver.Name]
		d.scheduler.update(b, now)
		d.scheduler.addBlocked(held)
		w.Metrics.Pending(d.receiver.Name, b.oldest)
	}
	w.Metrics.Blocked.Set(float64(len(held)))
	w.update(ctx, found)
}

// read registers the receivers if necessary, and scans the queue.
func (w *loop) read(ctx context.Context) (*scan, error) {
	queue := w.currentQueue()
	registry := registry{queue.coll, w.Indexes.Ensure}
	var err error
	if w.registered.since == nil {
		w.registered, err = registry.register(ctx, slices.DeleteFunc(names(w.receivers()), isPrimary))
	} else {
		w.registered, err = registry.keep(ctx, w.registered)
	}
	if err != nil {
		return nil, err
	}
	since := w.scanned.Add(-lookBack)
	if w.scanned.IsZero() {
		since = w.registered.now.Add(-maxLookBack)
	}
	found, err := w.scanner(queue).run(w.reads.context(ctx, queue), since)
	if err == nil {
		w.scanned = w.registered.now
	}
	return found, err
}

func (w *loop) scanner(queue queue) scanner {
	return scanner{
		queue: queue, database: w.Database, receivers: w.receivers(), registered: w.registered,
		failing: func(receiver string) bool {
			return slices.ContainsFunc(w.dispatchers, func(d *dispatcher) bool {
				return d.receiver.Name == receiver && d.answers.failing(time.Now())
			})
		},
	}
}

// settleAfter schedules a scan that is not urgent: it updates the metrics.
func (w *loop) settleAfter(now time.Time) { w.scanBy(now.Add(max(settleDelay, settleFactor*w.took))) }

// update executes the transitions that a scan found, concurrently. A later scan finds those
// that fail again.
func (w *loop) update(ctx context.Context, found *scan) {
	others := slices.Concat(found.reopened, found.skipped)
	if w.updating || len(found.complete)+len(found.expired)+len(others) == 0 {
		return
	}
	w.updating = true
	queue := w.currentQueue()
	w.workers.Go(func() {
		w.apply(ctx, queue, others)
		for receiver, transitions := range found.expired {
			n := w.apply(ctx, queue, transitions)
			w.Metrics.ReceiverDeliveries.WithLabelValues(receiver, string(stateExpired)).Add(float64(n))
			if n > 0 {
				w.Log.Error("notifications expired", zap.String("receiver", receiver), zap.Int64("number", n))
			}
		}
		for result, transitions := range found.complete {
			n := w.apply(ctx, queue, transitions)
			w.Metrics.Deliveries.WithLabelValues(result).Add(float64(n))
		}
		w.updated <- len(found.reopened)+len(found.expired) > 0
	})
}

func (w *loop) apply(ctx context.Context, queue queue, transitions []transition) int64 {
	n, err := queue.applyAll(ctx, transitions)
	if err != nil && ctx.Err() == nil {
		w.queueFailed(err)
	}
	return n
}

// scanBy schedules a scan at a time, or later if notBefore requires it.
func (w *loop) scanBy(at time.Time) {
	if at.Before(w.notBefore) {
		at = w.notBefore
	}
	if at.Before(w.scanAt) {
		w.scanAt = at
	}
}

func (w *loop) end(e end) {
	now := time.Now()
	scan := e.current().finish(e.result, now)
	switch {
	case scan, e.scan:
		w.scanBy(now)
	case e.pause.queueFailed:
		// A scan shows whether the queue is available again.
		w.scanBy(now.Add(e.length))
	case e.current().running == 0:
		// The queue metrics are from before these workers.
		w.settleAfter(now)
	}
}

func (w *loop) nextWakeup() time.Time {
	first := w.scanAt
	for _, d := range w.dispatchers {
		if wake := d.nextWake(time.Now()); !wake.IsZero() && wake.Before(first) {
			first = wake
		}
	}
	return first
}

// report updates probes, metrics and the log with the state of the receivers.
func (w *loop) report() {
	for _, d := range w.dispatchers {
		reason := d.answers.misconfiguration()
		w.Metrics.SetMisconfigured(d.receiver.Name, reason != "")
		if reason != "" {
			w.warnOncePerInterval("receiver "+d.receiver.Name,
				"the receiver "+d.receiver.Name+" seems to be misconfigured ("+d.receiver.Remedy+"); "+
					"notifications remain pending, retrying every minute", reason)
		}
	}
	w.Status.round(w.dispatchers)
}
