package pipeline

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
)

// refusing is a sink that refuses its first writes.
type refusing struct {
	sink.Sink
	refusals int
	written  []string
}

func (*refusing) Name() string { return "refusing" }

func (r *refusing) Write(_ context.Context, docs []notification.Document) error {
	if r.refusals > 0 {
		r.refusals--
		return errors.New("refused")
	}
	for _, d := range docs {
		r.written = append(r.written, d.ID)
	}
	return nil
}

// TestPendingBeforeEachAttempt: what has been published between two attempts is not written, and then
// no write to the sink is failing.
func TestPendingBeforeEachAttempt(t *testing.T) {
	docs := []notification.Document{{ID: "a"}, {ID: "b"}}
	for _, c := range []struct {
		name    string
		second  func() ([]notification.Document, error) // the answer before the second attempt
		err     error
		written int
	}{
		{"nothing was published", func() ([]notification.Document, error) { return docs, nil }, nil, 2},
		{"one was published", func() ([]notification.Document, error) { return docs[1:], nil }, nil, 1},
		{"all were published", func() ([]notification.Document, error) { return nil, nil }, nil, 0},
		{"the catalog was compared", func() ([]notification.Document, error) { return docs, errStoredChanged }, errStoredChanged, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			to, status, attempts := &refusing{refusals: 1}, &Status{}, 0
			w := writer{
				routes: []Route{{Sink: to}}, status: status, log: zap.NewNop(),
				metrics: metrics.NewRun(prometheus.NewRegistry(), metrics.Build{}, metrics.Labels{}, func() error { return nil }),
			}
			err := w.write(t.Context(), docs, func(context.Context, []notification.Document) ([]notification.Document, error) {
				if attempts++; attempts == 1 {
					return docs, nil
				}
				return c.second()
			})
			if !errors.Is(err, c.err) || len(to.written) != c.written {
				t.Errorf("%v, %q is written; want %v and %d", err, to.written, c.err, c.written)
			}
			if failing := len(status.failures) > 0; failing {
				t.Errorf("the sink counts as failing: %v", status.failures)
			}
		})
	}
}
