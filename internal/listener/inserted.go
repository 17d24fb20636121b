package listener

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// changes are the changes of the queue that the loop has not read yet.
type changes struct {
	// inserted holds the _ids of new notifications.
	inserted []bson.RawValue
	// rescan is set if only a scan reads the changes.
	rescan bool
	// reopened is set if the change stream was opened.
	reopened bool
	// at is the time of the last event of the change stream, zero if there was none.
	at bson.Timestamp
}

// maxInserted is the number of new notifications from which on a scan reads them.
const maxInserted = maxBulk

// wakeUp makes the loop scan the queue soon.
func (l *Listener) wakeUp() { l.note(func(c *changes) { c.rescan = true }) }

// streamOpened makes the loop scan the queue soon: the change stream does not have earlier
// changes.
func (l *Listener) streamOpened() {
	l.note(func(c *changes) { *c = changes{rescan: true, reopened: true} })
}

// noteEvent makes the loop read what an event of the change stream reports. After the first
// event of a stream it scans the queue: an insert that was not yet majority-committed when the
// stream was opened is neither in the stream nor in an earlier scan.
func (l *Listener) noteEvent(event bson.Raw, first bool) {
	id, err := event.LookupErr("documentKey", "_id")
	isInsert := err == nil && text(event, "operationType") == "insert"
	l.note(func(c *changes) {
		if t, i, ok := event.Lookup("clusterTime").TimestampOK(); ok {
			c.at = bson.Timestamp{T: t, I: i}
		}
		if first || !isInsert || len(c.inserted) >= maxInserted {
			c.rescan = true
			return
		}
		c.inserted = append(c.inserted, bson.RawValue{Type: id.Type, Value: slices.Clone(id.Value)})
	})
}

// note records a change and wakes up the loop.
func (l *Listener) note(change func(*changes)) {
	l.mu.Lock()
	change(&l.changes)
	if l.changes.rescan {
		l.changes.inserted = nil
	}
	l.mu.Unlock()
	select {
	case l.wakeups() <- struct{}{}:
	default: // a wakeup is pending already
	}
}

func (l *Listener) takeChanges() changes {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.changes
	l.changes = changes{}
	return taken
}

// reads is the session in which the loop reads the queue. It is causally consistent: a read
// does not return an older state than the one before, or than the last event, even after a
// failover. Otherwise a new notification could be added without an earlier one of its
// collection.
type reads struct {
	session *mongo.Session
	// at is the time of the last event; zero if there was none.
	at bson.Timestamp
}

// context returns the context of a read. Without a session, reads are not ordered.
func (r *reads) context(ctx context.Context, queue queue) context.Context {
	if r.session == nil {
		session, err := queue.coll.Database().Client().StartSession()
		if err != nil {
			return ctx
		}
		r.session = session
	}
	if !r.at.IsZero() {
		_ = r.session.AdvanceOperationTime(&r.at) // fails only for an ended session
	}
	return mongo.NewSessionContext(ctx, r.session)
}

// end ends the session; the next read starts another one.
func (r *reads) end(ctx context.Context) {
	if r.session != nil {
		r.session.EndSession(context.WithoutCancel(ctx))
		r.session = nil
	}
}

// extend reads the notifications that were inserted since the last scan. A scan reads all
// unprocessed notifications, which takes long if a receiver does not accept any: the others
// must not wait for it.
func (w *loop) extend(ctx context.Context) {
	c := w.takeChanges()
	if c.reopened {
		w.reads.end(ctx)
		w.reads.at = bson.Timestamp{}
	}
	if !c.at.IsZero() {
		w.reads.at = c.at
	}
	w.incomplete = w.incomplete || c.rescan
	now := time.Now()
	if w.incomplete || !w.scanAt.After(now) {
		w.scanBy(now)
		return
	}
	queue := w.currentQueue()
	found, err := w.scanner(queue).runAmong(w.reads.context(ctx, queue), c.inserted)
	if err != nil {
		w.reads.end(ctx)
		w.incomplete = true
		w.scanBy(now)
		return
	}
	for _, d := range w.dispatchers {
		if d.scheduler.extend(found.backlogs[d.receiver.Name], now) {
			w.scanBy(now)
		}
	}
	w.update(ctx, found)
	w.settleAfter(now)
}
