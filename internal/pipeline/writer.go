package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/sink"
)

// sinkTimeout bounds one attempt to write, which is then retried: writes are idempotent.
const sinkTimeout = 30 * time.Second

// writer writes to the sinks and to ddltail's own collections until they accept it.
type writer struct {
	routes []Route
	// credentials are those of ddltail's own database; explain is Config.ExplainSink.
	credentials Credentials
	explain     func(ctx context.Context, err error) error
	metrics     *metrics.Run
	status      *Status
	log         *zap.Logger
}

// pending returns those of the documents that are still to be written: another process may
// have written them, and what it wrote may have been removed since.
type pending func(ctx context.Context, docs []notification.Document) ([]notification.Document, error)

// write writes the documents that pass each route's filter to its sink, one sink after the
// other. It calls still before each attempt, and returns its error.
func (w writer) write(ctx context.Context, docs []notification.Document, still pending) error {
	for _, route := range w.routes {
		if passed := route.pass(docs); len(passed) > 0 {
			if err := w.writeTo(ctx, route.Sink, passed, still); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeTo retries until one sink has the documents that are still to be written.
func (w writer) writeTo(ctx context.Context, to sink.Sink, docs []notification.Document, still pending) error {
	return w.retryUntilDone(ctx, to.Name(), func(attempt context.Context) error {
		left, err := still(attempt, docs)
		switch {
		case err != nil && attempt.Err() == nil:
			return permanentError{err}
		case err != nil || len(left) == 0:
			return err
		}
		return to.Write(attempt, left)
	})
}

func (r Route) pass(docs []notification.Document) []notification.Document {
	passed := make([]notification.Document, 0, len(docs))
	for _, d := range docs {
		if r.Filter.Passes(d.Change) {
			passed = append(passed, d)
		}
	}
	return passed
}

// permanentError ends the retries of a step. It is not a failure of the step's sink.
type permanentError struct{ error }

// retryUntilDone retries until the step succeeds, its error is permanent or the context ends,
// and reports failures in status, metrics and log.
func (w writer) retryUntilDone(ctx context.Context, name string, try func(context.Context) error) error {
	pause := retry.NewBackOff(maxBackoff)
	for {
		attempt, cancel := context.WithTimeout(ctx, sinkTimeout)
		err := try(attempt)
		cancel()
		if err == nil {
			w.status.sinkNotFailing(name)
			if w.isStored(name) {
				w.credentials.Worked()
			}
			return nil
		}
		var permanent permanentError
		if errors.As(err, &permanent) {
			w.status.sinkNotFailing(name)
			return permanent.error
		}
		if w.isStored(name) {
			w.credentials.Failed(err)
			// The server's error text repeats the command, with session and signature.
			err = w.explain(ctx, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("stopped while writing to %s: %w", name, ctx.Err())
		}
		wait := pause.NextBackOff()
		w.metrics.SinkErrors.WithLabelValues(name).Inc()
		w.status.sinkFailed(name, err)
		w.log.Warn("sink write failed; retrying, checkpoint not advanced",
			zap.String("sink", name), zap.Duration("again_in", wait), zap.Error(err))
		if !retry.Sleep(ctx, wait) {
			return fmt.Errorf("stopped while writing to %s: %w", name, ctx.Err())
		}
	}
}

// isStored reports whether a sink is one of ddltail's own collections.
func (w writer) isStored(name string) bool {
	return name == sink.Checkpoint || name == sink.Catalog ||
		slices.ContainsFunc(w.routes, func(r Route) bool { return r.Stored && r.Sink.Name() == name })
}
