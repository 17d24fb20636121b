// Package listener delivers the notifications of a queue to receivers, each at least once and
// in order of position within each affected collection. Any number of listeners can share a
// queue.
//
// The queue is the only source of work: a change stream or a timer only triggers a scan, or
// the read of new notifications. So nothing is lost if a stream, a listener or a primary fails.
// The state of a notification is stored in its document.
package listener

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/refusal"
	"github.com/ddltail/ddltail/internal/store"
)

const (
	// maxWorkers is how many notifications are delivered to one receiver concurrently.
	maxWorkers = 32
	// scanInterval is the time between two scans without a wakeup: the expiry of a crashed
	// listener's claim causes no event.
	scanInterval = 10 * time.Second
	// settleDelay is the minimum delay of a scan that only updates the metrics, and
	// settleFactor the minimum in durations of a scan: a long scan delays deliveries.
	settleDelay  = time.Second
	settleFactor = 10
	// warnInterval is the time after which an unchanged warning is logged again.
	warnInterval = time.Minute
)

// Results of a notification, as labels of metrics.
const (
	resultDelivered = "delivered"
	resultRejected  = "rejected"
	resultMalformed = "malformed"
	resultDuplicate = "duplicate"
	resultSkipped   = "skipped"
)

// Results returns all results.
func Results() []string {
	return []string{resultDelivered, resultRejected, resultMalformed, resultDuplicate, resultSkipped}
}

// Credentials receives the result of each use of the queue's credentials. It may cancel the
// context: because new credentials were read, or because they were refused for too long.
type Credentials interface {
	Failed(err error)
	Worked()
}

// Listener delivers the notifications of one queue. All exported fields are required.
type Listener struct {
	// Database is the name of the queue's database.
	Database string
	// Receivers are the initial receivers; SetReceivers replaces them.
	Receivers []Receiver
	// PollInterval is the poll interval if change streams are not available.
	PollInterval time.Duration
	// Indexes creates the queue's indexes.
	Indexes     *ownindex.Builder
	Credentials Credentials
	// Explain adds the missing privileges to an error of an unauthorized command.
	Explain func(error) error
	Metrics *metrics.Listen
	Status  *Status
	Log     *zap.Logger

	// id identifies this listener in its claims.
	id string
	// stop ends Run.
	stop context.CancelCauseFunc

	mu    sync.Mutex
	queue queue
	// replaced holds receivers that the loop has not adopted yet; nil if there are none.
	replaced []Receiver
	changes  changes
	wake     chan struct{}
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
//
// It returns an error if the queue cannot be used: it is capped, and the server does not let
// its documents grow.
func (l *Listener) Run(ctx context.Context, db *mongo.Database) error {
	ctx, l.stop = context.WithCancelCause(ctx)
	defer l.stop(nil)
	l.id = bson.NewObjectID().Hex()
	l.use(db)
	var group sync.WaitGroup
	group.Go(func() { l.watch(ctx, db.Client()) })
	group.Go(func() { l.work(ctx) })
	group.Wait()
	var refused *refusal.Error
	if errors.As(context.Cause(ctx), &refused) {
		return refused
	}
	return nil
}

func (l *Listener) use(db *mongo.Database) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = queue{coll: db.Collection(store.Notifications), id: l.id}
}

func (l *Listener) currentQueue() queue {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue
}

// SetReceivers replaces the receivers. Receivers with an existing name continue where they
// are in the queue. A new receiver gets notifications that are written from now on.
func (l *Listener) SetReceivers(all []Receiver) {
	l.mu.Lock()
	l.replaced = all
	l.mu.Unlock()
	l.wakeUp()
}

// takeReplaced returns the receivers to adopt, nil if they have not changed.
func (l *Listener) takeReplaced() []Receiver {
	l.mu.Lock()
	defer l.mu.Unlock()
	replaced := l.replaced
	if replaced != nil {
		l.Receivers, l.replaced = replaced, nil
	}
	return replaced
}

func (l *Listener) currentReceivers() []Receiver {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Receivers
}

func (l *Listener) wakeups() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wake == nil {
		l.wake = make(chan struct{}, 1)
	}
	return l.wake
}

func (l *Listener) queueFailed(err error) {
	var refused *refusal.Error
	if errors.As(err, &refused) && refused.Capped && l.stop != nil {
		l.stop(refused)
	}
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
