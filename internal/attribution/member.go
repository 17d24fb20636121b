package attribution

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/actor/getlog"
)

// requestTimeout bounds one request to a member, otherTimeout all requests of one read of a member that is not the primary.
const (
	requestTimeout = 5 * time.Second
	otherTimeout   = 500 * time.Millisecond
)

// confirmEvery is the minimum interval between two reads of a member's connections.
const confirmEvery = 250 * time.Millisecond

// member is one member of the set.
type member struct {
	host    string
	client  *mongo.Client
	primary bool
	ring    ring
}

// retryAfter is the interval after which a failed member is read again.
func (m *member) retryAfter() time.Duration {
	if m.primary {
		return failedEvery
	}
	return failedOtherEvery
}

// ring is the log of a member, read by getLog.
type ring struct {
	log         actor.Log
	reader      getlog.Reader
	readAt      time.Time
	began       bool
	confirmedAt time.Time
	// unconfirmed is true if a line was found whose connection or term is not known.
	unconfirmed bool
	// fast is true if the ring buffer, at the last measured rate, is overwritten within fastEvery.
	fast     bool
	err      error
	failedAt time.Time
}

func (r *ring) lines() (*actor.Log, time.Time) { return &r.log, r.readAt }

func (r *ring) confirmLater() { r.unconfirmed = true }

func (r *ring) works() bool { return r.err == nil }

// read adds the lines since the last call.
func (r *ring) read(ctx context.Context) (missed int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	began := time.Now()
	batch, err := r.reader.Read(ctx)
	if err != nil {
		return 0, err
	}
	if batch.First || batch.Restarted || batch.Missed > 0 {
		r.log.Missed()
		r.unconfirmed = true
	}
	for _, line := range batch.Lines {
		r.log.Add([]byte(line))
	}
	r.log.ReadUntil(batch.Until)
	if !r.readAt.IsZero() {
		rate := float64(int64(len(batch.Lines))+batch.Missed) / began.Sub(r.readAt).Seconds()
		r.fast = rate*fastEvery.Seconds() > float64(batch.Ring)
	}
	r.readAt = began
	if !batch.First {
		missed = batch.Missed
	}
	return missed, nil
}

// confirm reads the state of the member, and then the lines up to its reply.
func (r *ring) confirm(ctx context.Context) (missed int64, err error) {
	r.confirmedAt, r.unconfirmed = time.Now(), false
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	mark := r.log.Position()
	state, err := r.reader.State(bounded)
	if err != nil {
		return 0, err
	}
	missed, err = r.read(ctx)
	if err != nil {
		return missed, fmt.Errorf("read the log after the connections: %w", err)
	}
	r.log.Confirm(mark, state)
	return missed, nil
}
