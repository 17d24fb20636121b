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
	atOnce = 32
	// surveyEvery is how often the queue is read without an occasion: what a listener
	// that died had claimed gives none.
	surveyEvery = 10 * time.Second
	// settled is how long after the last turn the queue is read again.
	settled = time.Second
	// repeatEvery is how often a complaint is repeated that stays the same.
	repeatEvery = time.Minute
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

	// me names this listener in its claims.
	me string

	mu    sync.Mutex
	queue store
	// said is the last complaint of each kind, and when it was made.
	said map[string]complaint
}

type complaint struct {
	text string
	at   time.Time
}

// Run listens until the context ends; nothing of it is left then. The client of db
// must write with majority write concern and read at the primary.
func (l *Listener) Run(ctx context.Context, db *mongo.Database) {
	l.me = bson.NewObjectID().Hex()
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
	l.queue = store{coll: db.Collection(sink.Notifications), me: l.me}
}

func (l *Listener) store() store {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue
}

// work reads the queue whenever there is an occasion, and lets lanes have their
// turns. It returns when all turns have ended.
func (l *Listener) work(ctx context.Context, wake <-chan struct{}) {
	w := &worker{Listener: l, board: newBoard(), ends: make(chan turnEnd, atOnce), pause: retry.NewBackOff(longestWait)}
	for ctx.Err() == nil {
		now := time.Now()
		if !w.surveyAt.After(now) {
			w.survey(ctx)
		}
		w.board.wake(time.Now())
		w.dispatch(ctx)
		w.reportMistake()
		timer := time.NewTimer(time.Until(w.nextOccasion()))
		select {
		case <-ctx.Done():
		case <-wake:
			w.surveyBy(time.Now())
		case end := <-w.ends:
			w.end(end)
		case <-timer.C:
		}
		timer.Stop()
	}
	w.turns.Wait()
}

// worker is the state of one work loop.
type worker struct {
	*Listener
	board *board
	turns sync.WaitGroup
	ends  chan turnEnd
	// running is how many turns are under way.
	running int
	// surveyAt is when the queue is to be read next; notBefore keeps a queue that is
	// long to read from being read all the time.
	surveyAt, notBefore time.Time
	pause               interface {
		NextBackOff() time.Duration
		Reset()
	}
}

func (w *worker) survey(ctx context.Context) {
	began := time.Now()
	found, err := w.store().survey(ctx, w.Database)
	now := time.Now()
	if err != nil {
		if ctx.Err() == nil {
			w.queueFailed(err)
		}
		w.surveyAt = now.Add(w.pause.NextBackOff())
		w.notBefore = w.surveyAt
		return
	}
	w.pause.Reset()
	w.surveyAt, w.notBefore = now.Add(surveyEvery), now.Add(2*now.Sub(began))
	w.Status.queueRead(found.total)
	w.Metrics.Queue(found.total, found.oldest)
	w.board.update(found, now)
}

// surveyBy has the queue read at a moment, or as soon after that as may be.
func (w *worker) surveyBy(at time.Time) {
	if at.Before(w.notBefore) {
		at = w.notBefore
	}
	if at.Before(w.surveyAt) {
		w.surveyAt = at
	}
}

// dispatch starts turns while there are lanes and room.
func (w *worker) dispatch(ctx context.Context) {
	for w.running < atOnce {
		key, notices, ok := w.board.next()
		if !ok {
			return
		}
		w.running++
		t := turn{Listener: w.Listener, store: w.store(), lane: key}
		w.turns.Go(func() { w.ends <- t.take(ctx, notices) })
	}
}

func (w *worker) end(e turnEnd) {
	w.running--
	if w.board.ended(e, time.Now()) {
		w.surveyBy(time.Now())
	} else if w.running == 0 {
		// What the metrics say of the queue was true before these turns.
		w.surveyBy(time.Now().Add(settled))
	}
}

func (w *worker) nextOccasion() time.Time {
	if wake := w.board.nextWake(); !wake.IsZero() && wake.Before(w.surveyAt) {
		return wake
	}
	return w.surveyAt
}

func (w *worker) reportMistake() {
	mistake := w.board.mistake()
	w.Status.round(mistake)
	if mistake != "" {
		w.complain("backend", "the backend does not take notifications: check DDLTAIL_BACKEND_URL and what it expects; "+
			"nothing is marked, it is asked again each minute", mistake)
	}
}

func (l *Listener) queueFailed(err error) {
	l.Status.queueFailed(err)
	l.complain("queue", "the queue cannot be used; it is tried again", err.Error())
}

// complain logs a warning, unless the last of its kind was the same and is not long ago.
func (l *Listener) complain(kind, message, text string) {
	l.mu.Lock()
	last := l.said[kind]
	again := last.text != text || time.Since(last.at) >= repeatEvery
	if again {
		if l.said == nil {
			l.said = map[string]complaint{}
		}
		l.said[kind] = complaint{text: text, at: time.Now()}
	}
	l.mu.Unlock()
	if again {
		l.Log.Warn(message, zap.String("reason", text))
	}
}
