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

// Credentials learns how each use of the queue's credentials ended. It may end the
// context: other credentials were read, or they were refused for too long.
type Credentials interface {
	Failed(err error)
	Worked()
}

// Receiver is a Target with its name in metrics and logs.
type Receiver struct {
	Name   string
	Target Target
	// Remedy says what to check if the answers indicate a misconfiguration.
	Remedy string
}

// Listener delivers the notifications of one queue. All exported fields are required.
type Listener struct {
	// Database is the name of the queue's database.
	Database string
	Receiver Receiver
	// PollInterval is the poll interval if change streams are not available.
	PollInterval time.Duration
	Credentials  Credentials
	// Explain names what is missing if the queue refuses a command for want of a privilege.
	Explain func(error) error
	Metrics *metrics.Listen
	Status  *Status
	Log     *zap.Logger

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
	w := &loop{Listener: l, dispatcher: l.newDispatcher(l.Receiver), results: make(chan end, maxWorkers), pause: retry.NewBackOff(maxBackoff)}
	for ctx.Err() == nil {
		now := time.Now()
		if !w.scanAt.After(now) {
			w.scan(ctx)
		}
		w.dispatcher.start(ctx, time.Now(), func(work func() end) {
			w.workers.Go(func() { w.results <- work() })
		})
		w.report()
		timer := time.NewTimer(time.Until(w.nextWakeup()))
		select {
		case <-ctx.Done():
		case <-wake:
			w.scanBy(time.Now())
		case e := <-w.results:
			w.end(e)
		case <-timer.C:
		}
		timer.Stop()
	}
	w.workers.Wait()
}

// loop is the state of the work loop.
type loop struct {
	*Listener
	dispatcher *dispatcher
	workers    sync.WaitGroup
	results    chan end
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
	w.Credentials.Worked()
	w.scanAt, w.notBefore = now.Add(scanInterval), now.Add(2*now.Sub(began))
	w.Status.queueRead(found.total)
	w.Metrics.Queue(found.total, found.oldest)
	w.dispatcher.scheduler.update(found, now)
	w.Metrics.Blocked.Set(float64(w.dispatcher.scheduler.blocked.partitions))
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
	scan := e.finish(e.result, now)
	switch {
	case scan:
		w.scanBy(now)
	case e.pause.queueFailed:
		// Whether the queue is available again shows in a scan.
		w.scanBy(now.Add(e.pause.length))
	case e.running == 0:
		// The queue metrics are from before these workers.
		w.scanBy(now.Add(settleDelay))
	}
}

func (w *loop) nextWakeup() time.Time {
	if wake := w.dispatcher.nextWake(time.Now()); !wake.IsZero() && wake.Before(w.scanAt) {
		return wake
	}
	return w.scanAt
}

// report updates what probes, metrics and the log say about the receiver.
func (w *loop) report() {
	d := w.dispatcher
	reason := d.answers.misconfiguration()
	misconfigured := 0.0
	if reason != "" {
		misconfigured = 1
		w.warnOncePerInterval("receiver "+d.receiver.Name, "the answer indicates a misconfiguration ("+d.receiver.Remedy+"); "+
			"notifications stay unprocessed, retrying every minute", reason)
	}
	w.Metrics.Misconfigured.WithLabelValues(d.receiver.Name).Set(misconfigured)
	w.Status.round(d)
}

func (l *Listener) queueFailed(err error) {
	l.Credentials.Failed(err)
	err = l.Explain(err)
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
