// Package besteffort writes to a sink without delaying the checkpoint.
package besteffort

import (
	"context"
	"sync"
	"time"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/sink"
)

const (
	// queueDocuments and queueBytes bound the queue of a best-effort sink.
	queueDocuments = 10_000
	queueBytes     = 16 << 20
	// batchDocuments and batchBytes bound one write to the wrapped sink.
	batchDocuments = 500
	batchBytes     = 1 << 20
	// drainTime is how long Close waits for the queue to be written.
	drainTime = 2 * time.Second
	// attemptTimeout bounds one attempt, maxPause the time between two.
	attemptTimeout = 30 * time.Second
	maxPause       = 10 * time.Second
)

// Sink writes to another sink from a bounded queue, so that the pipeline does not wait.
// Documents that do not fit into the queue are dropped and reported.
type Sink struct {
	sink   sink.Sink
	report sink.Report

	mu    sync.Mutex
	queue []notification.Document
	bytes int
	// closing is true after Close was called.
	closing bool
	// changed is signaled when the queue or closing has changed.
	changed chan struct{}

	// cancel ends the worker and worked is closed when it has ended; nil before Setup.
	cancel context.CancelFunc
	worked chan struct{}
}

// New returns a sink whose Setup and Write return at once, without an error.
func New(s sink.Sink, report sink.Report) *Sink {
	return &Sink{sink: s, report: report, changed: make(chan struct{}, 1)}
}

// Name is the name of the wrapped sink.
func (b *Sink) Name() string { return b.sink.Name() }

// Setup starts writing. The setup of the wrapped sink is retried in the background.
func (b *Sink) Setup(ctx context.Context, own sink.Own) error {
	if b.worked != nil {
		return nil
	}
	ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	b.worked = make(chan struct{})
	go func() {
		defer close(b.worked)
		b.work(ctx, own)
	}()
	return nil
}

// Write adds documents to the queue; those that do not fit are dropped.
func (b *Sink) Write(_ context.Context, docs []notification.Document) error {
	b.mu.Lock()
	dropped := 0
	for _, d := range docs {
		size := d.Size()
		if len(b.queue) >= queueDocuments || b.bytes+size > queueBytes && len(b.queue) > 0 {
			dropped++
			continue
		}
		b.queue = append(b.queue, d.Clone())
		b.bytes += size
	}
	b.mu.Unlock()
	b.signal()
	if dropped > 0 {
		b.report.Dropped(b.Name(), dropped, "its queue is full")
	}
	return nil
}

// Reopen reopens the wrapped sink if it is a sink.Reopener.
func (b *Sink) Reopen() error {
	if s, ok := b.sink.(sink.Reopener); ok {
		return s.Reopen()
	}
	return nil
}

// Close waits up to drainTime for the queue to be written; the rest is dropped.
func (b *Sink) Close() error {
	if b.worked != nil {
		b.mu.Lock()
		b.closing = true
		b.mu.Unlock()
		b.signal()
		select {
		case <-b.worked:
		case <-time.After(drainTime):
		}
		b.cancel()
		<-b.worked
	}
	if left := len(b.queue); left > 0 {
		b.report.Dropped(b.Name(), left, "the process ends")
	}
	return b.sink.Close()
}

func (b *Sink) signal() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// work sets the sink up and writes the queue until the context ends, or until Close was
// called and the queue is empty.
func (b *Sink) work(ctx context.Context, own sink.Own) {
	if !b.persist(ctx, func(ctx context.Context) error { return b.sink.Setup(ctx, own) }) {
		return
	}
	for {
		docs, closing := b.next()
		switch {
		case len(docs) > 0:
			if !b.persist(ctx, func(ctx context.Context) error { return b.sink.Write(ctx, docs) }) {
				return
			}
			b.remove(docs)
		case closing:
			return
		default:
			select {
			case <-b.changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// persist retries a step until it succeeds, and reports whether it did before the context
// ended.
func (b *Sink) persist(ctx context.Context, step func(context.Context) error) bool {
	pause := retry.NewBackOff(maxPause)
	for {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		err := step(attempt)
		cancel()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		wait := pause.NextBackOff()
		b.report.Failed(b.Name(), err, wait)
		if !retry.Sleep(ctx, wait) {
			return false
		}
	}
}

// next returns the documents of the next write, and keeps them in the queue.
func (b *Sink) next() (docs []notification.Document, closing bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, bytes := 0, 0
	for n < len(b.queue) && n < batchDocuments && bytes < batchBytes {
		bytes += b.queue[n].Size()
		n++
	}
	return b.queue[:n:n], b.closing
}

// remove removes written documents from the head of the queue.
func (b *Sink) remove(docs []notification.Document) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range docs {
		b.bytes -= d.Size()
	}
	b.queue = append([]notification.Document(nil), b.queue[len(docs):]...)
}
