// Package listener hands the notifications of a queue over, each at least once, in
// the order of their collection, alone or with any number of other listeners.
//
// What is to be done always comes from reading the queue: a change stream, or a
// clock, only says when to read it. So nothing is lost with a stream, a listener or
// a primary. What a notification has been through stands in its document.
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
	// atOnce is how many lanes hand over at the same time.
	maxWorkers = 32
	// surveyEvery is how often the queue is read without an occasion: what a listener
	// that died had claimed gives none.
	scanInterval = 10 * time.Second
	// settled is how long after the last turn the queue is read again.
	settleDelay = time.Second
	// repeatEvery is how often a complaint is repeated that stays the same.
	warnInterval = time.Minute
)

// How a notification's way ended, in metrics.
const (
	resultDelivered = "delivered"
	resultRejected  = "rejected"
	resultMalformed = "malformed"
	resultDuplicate = "duplicate"
)

// Results lists the ends of a notification's way.
func Results() []string {
	return []string{resultDelivered, resultRejected, resultMalformed, resultDuplicate}
}

// Target is where notifications go. Deliver is called by several goroutines at once.
type Target interface {
	Deliver(ctx context.Context, m delivery.Message) delivery.Outcome
}

// Listener hands over what the queue in one database holds. All fields but the
// unexported ones are to be set.
type Listener struct {
	// Database is the queue's.
	Database string
	Target   Target
	// PollInterval is how often to look where there is no change stream.
	PollInterval time.Duration
	Metrics      *metrics.Listen
	Status       *Status
	Log          *zap.Logger

	// QID names this listener in its claims.
	id string

	mu    sync.Mutex
	queue queue
	// said is the last complaint of each kind, and when it was made.
	lastWarning map[string]warning
}

type warning struct {
	text string
	at   time.Time
}

// Run listens until the context ends; nothing of it is left then. The client of db
// must write with majority write concern and read at the primary.
func (l *Listener) Run(ctx context.Context, db *mongo.Database) {
	l.id = bson.NewObjectID().Hex()
	l.use(db)
	wake := make(chan struct{}, 1)
	var both sync.WaitGroup
	both.Go(func() {
		l.watch(ctx, db.Client(), func() {
			select {
			case wake <- struct{}{}:
			default: // it is awake
			}
		})
	})
	both.Go(func() { l.work(ctx, wake) })
	both.Wait()
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

// work reads the queue whenever there is an occasion, and lets lanes have their
// turns. It returns when all turns have ended.
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

// worker is the state of one work loop.
type loop struct {
	*Listener
	scheduler *scheduler
	workers   sync.WaitGroup
	results   chan result
	// running is how many turns are under way.
	running int
	// surveyAt is when the queue is to be read next; notBefore keeps a queue that is
	// long to read from being read all the time.
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
}

// surveyBy has the queue read at a moment, or as soon after that as may be.
func (w *loop) scanBy(at time.Time) {
	if at.Before(w.notBefore) {
		at = w.notBefore
	}
	if at.Before(w.scanAt) {
		w.scanAt = at
	}
}

// dispatch starts turns while there are lanes and room.
func (w *loop) dispatch(ctx context.Context) {
	for w.running < maxWorkers {
		key, records, ok := w.scheduler.next()
		if !ok {
			return
		}
		w.running++
		t := worker{Listener: w.Listener, queue: w.currentQueue(), partition: key}
		w.workers.Go(func() { w.results <- t.process(ctx, records) })
	}
}

func (w *loop) end(e result) {
	w.running--
	if w.scheduler.finished(e, time.Now()) {
		w.scanBy(time.Now())
	} else if w.running == 0 {
		// What the metrics say of the queue was true before these turns.
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
		w.warnOncePerInterval("backend", "the backend does not take notifications: check DDLTAIL_BACKEND_URL and what it expects; "+
			"nothing is marked, it is asked again each minute", misconfiguration)
	}
}

func (l *Listener) queueFailed(err error) {
	l.Status.queueFailed(err)
	l.warnOncePerInterval("queue", "the queue cannot be used; it is tried again", err.Error())
}

// complain logs a warning, unless the last of its kind was the same and is not long ago.
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
