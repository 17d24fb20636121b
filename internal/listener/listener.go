// Package listener delivers the notifications of a queue, each at least once and in the
// order of their positions within each collection that they touch. Any number of listeners
// can share a queue.
//
// The queue is the only source of work: a change stream or a timer only triggers a scan.
// So nothing is lost if a stream, a listener or a primary fails. The state of a
// notification is stored in its document.
package listener

import (
	"context"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/sink"
)

const (
	// maxWorkers is how many notifications are delivered concurrently.
	maxWorkers = 32
	// scanInterval is the time between two scans without a wakeup. Needed since the
	// expiry of a crashed listener's claim causes no event.
	scanInterval = 10 * time.Second
	// settleDelay is the delay between the last worker and the scan that updates the metrics.
	settleDelay = time.Second
	// warnInterval is the time after which an unchanged warning is logged again.
	warnInterval = time.Minute
)

// Results of a notification, as labels of metrics.
const (
	resultDelivered = "delivered"
	resultRejected  = "rejected"
	resultMalformed = "malformed"
	resultDuplicate = "duplicate"
)

// Results returns all results.
func Results() []string {
	return []string{resultDelivered, resultRejected, resultMalformed, resultDuplicate}
}

// Target is the receiver of notifications. Deliver must be safe for concurrent use.
type Target interface {
	Deliver(ctx context.Context, m delivery.Message) delivery.Outcome
}

// Listener delivers the notifications of one queue. All exported fields are required.
type Listener struct {
	// Database is the name of the queue's database.
	Database string
	Target   Target
	// PollInterval is the poll interval if change streams are not available.
	PollInterval time.Duration
	Metrics      *metrics.Listen
	Status       *Status
	Log          *zap.Logger

	// id identifies this listener in its claims.
	id string

	mu    sync.Mutex
	queue queue
	// lastWarning is the last warning of each kind.
	lastWarning map[string]warning
}

type warning struct {
	text string
	at   time.Time
}

// Run delivers notifications until the context is canceled, and returns when all
// goroutines have ended. The client of db must write with majority write concern and read
// from the primary.
func (l *Listener) Run(ctx context.Context, db *mongo.Database) {
	l.id = bson.NewObjectID().Hex()
	l.use(db)
	wake := make(chan struct{}, 1)
	var group sync.WaitGroup
	group.Go(func() {
		l.watch(ctx, db.Client(), func() {
			select {
			case wake <- struct{}{}:
			default: // a wakeup is pending already
			}
		})
	})
	group.Go(func() { l.work(ctx, wake) })
	group.Wait()
}

func (l *Listener) use(db *mongo.Database) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = queue{coll: db.Collection(sink.Notifications), id: l.id}
}

func (l *Listener) currentQueue() queue {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue
}

// work scans the queue and starts workers. It returns when all workers have ended.
func (l *Listener) work(ctx context.Context, wake <-chan struct{}) {
	w := &loop{Listener: l, scheduler: newScheduler(), results: make(chan result, maxWorkers), pause: retry.NewBackOff(maxBackoff)}
	for ctx.Err() == nil {
		now := time.Now()
		if !w.scanAt.After(now) {
			w.scan(ctx)
		}
		w.scheduler.wake(time.Now())
		w.dispatch(ctx)
		w.reportMisconfiguration()
		timer := time.NewTimer(time.Until(w.nextWakeup()))
		select {
		case <-ctx.Done():
		case <-wake:
			w.scanBy(time.Now())
		case end := <-w.results:
			w.end(end)
		case <-timer.C:
		}
		timer.Stop()
	}
	w.workers.Wait()
}

// loop is the state of the work loop.
type loop struct {
	*Listener
	scheduler *scheduler
	workers   sync.WaitGroup
	results   chan result
	// running is the number of running workers.
	running int
	// scanAt is when the next scan is due; notBefore delays it, so that a queue that takes
	// long to scan is not scanned continuously.
	scanAt, notBefore time.Time
	pause             interface {
		NextBackOff() time.Duration
		Reset()
	}
}

func (w *loop) scan(ctx context.Context) {
	began := time.Now()
	found, err := w.currentQueue().scan(ctx, w.Database)
	now := time.Now()
	if err != nil {
		if ctx.Err() == nil {
			w.queueFailed(err)
		}
		w.scanAt = now.Add(w.pause.NextBackOff())
		w.notBefore = w.scanAt
		return
	}
	w.pause.Reset()
	w.scanAt, w.notBefore = now.Add(scanInterval), now.Add(2*now.Sub(began))
	w.Status.queueRead(found.total)
	w.Metrics.Queue(found.total, found.oldest)
	w.scheduler.update(found, now)
	w.Metrics.Blocked.Set(float64(w.scheduler.blocked.partitions))
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

// dispatch starts workers while records are ready and maxWorkers is not reached.
func (w *loop) dispatch(ctx context.Context) {
	for w.running < maxWorkers {
		n, ok := w.scheduler.next()
		if !ok {
			return
		}
		w.running++
		t := worker{Listener: w.Listener, queue: w.currentQueue()}
		w.workers.Go(func() { w.results <- t.process(ctx, n) })
	}
}

func (w *loop) end(e result) {
	w.running--
	if w.scheduler.finished(e, time.Now()) {
		w.scanBy(time.Now())
	} else if w.running == 0 {
		// The queue metrics are from before these workers.
		w.scanBy(time.Now().Add(settleDelay))
	}
}

func (w *loop) nextWakeup() time.Time {
	if wake := w.scheduler.nextWake(); !wake.IsZero() && wake.Before(w.scanAt) {
		return wake
	}
	return w.scanAt
}

func (w *loop) reportMisconfiguration() {
	misconfiguration := w.scheduler.misconfiguration()
	w.Status.round(misconfiguration)
	if misconfiguration != "" {
		w.warnOncePerInterval("backend", "the backend's response indicates a misconfiguration (check DDLTAIL_BACKEND_URL); "+
			"notifications stay unprocessed, retrying every minute", misconfiguration)
	}
}

func (l *Listener) queueFailed(err error) {
	l.Status.queueFailed(err)
	l.warnOncePerInterval("queue", "queue not available, retrying", err.Error())
}

// warnOncePerInterval logs a warning, unless the last one of its kind was the same and
// within warnInterval.
func (l *Listener) warnOncePerInterval(kind, message, text string) {
	l.mu.Lock()
	last := l.lastWarning[kind]
	again := last.text != text || time.Since(last.at) >= warnInterval
	if again {
		if l.lastWarning == nil {
			l.lastWarning = map[string]warning{}
		}
		l.lastWarning[kind] = warning{text: text, at: time.Now()}
	}
	l.mu.Unlock()
	if again {
		l.Log.Warn(message, zap.String("reason", text))
	}
}
