package besteffort

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/test/sinktest"
)

// target is a sink that can be unavailable.
type target struct {
	mu     sync.Mutex
	down   bool
	ids    []string
	closed bool
}

func (s *target) Name() string { return "target" }

func (s *target) Setup(context.Context, sink.Own) error { return s.error() }

func (s *target) error() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errors.New("down")
	}
	return nil
}

func (s *target) Write(_ context.Context, docs []notification.Document) error {
	if err := s.error(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, sinktest.IDs(docs)...)
	return nil
}

func (s *target) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (s *target) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// TestOutage has the target unavailable from the start, until more was written than the queue
// holds: nothing waits, what is not dropped arrives in order, and the drops are counted.
func TestOutage(t *testing.T) {
	behind := &target{down: true}
	var report sinktest.Report
	s := New(behind, &report)
	if err := s.Setup(t.Context(), sink.Own{}); err != nil {
		t.Fatal(err)
	}
	docs := sinktest.Documents(0, queueDocuments+1234)
	began := time.Now()
	for chunk := range slices.Chunk(docs, 500) {
		if err := s.Write(t.Context(), chunk); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("writing took %s", took)
	}
	behind.set(false)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(behind.ids, sinktest.IDs(docs[:queueDocuments])) {
		t.Errorf("%d documents arrived, want the first %d in order", len(behind.ids), queueDocuments)
	}
	_, failed, dropped := report.Counts()
	if dropped != 1234 || failed == 0 || !behind.closed {
		t.Errorf("%d dropped, want 1234; %d attempts failed; closed %t", dropped, failed, behind.closed)
	}
}

// TestClose ends while the target is unavailable: it waits drainTime and counts the rest.
func TestClose(t *testing.T) {
	behind := &target{}
	var report sinktest.Report
	s := New(behind, &report)
	if err := s.Setup(t.Context(), sink.Own{}); err != nil {
		t.Fatal(err)
	}
	behind.set(true)
	if err := s.Write(t.Context(), sinktest.Documents(0, 7)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > drainTime+time.Second {
		t.Errorf("closing took %s", took)
	}
	if _, _, dropped := report.Counts(); dropped+len(behind.ids) != 7 {
		t.Errorf("%d written and %d dropped, want 7 together", len(behind.ids), dropped)
	}
}

// TestQueueBytes bounds the queue by size; one document of any size always fits.
func TestQueueBytes(t *testing.T) {
	var report sinktest.Report
	s := New(&target{}, &report) // without Setup nothing is taken from the queue
	large := notification.Change{Operation: notification.ModifyCollection, Mongosh: string(make([]byte, queueBytes))}
	docs := append([]notification.Document{sinktest.Document(1, large)}, sinktest.Documents(1, 3)...)
	if err := s.Write(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	if _, _, dropped := report.Counts(); dropped != 3 || len(s.queue) != 1 {
		t.Errorf("%d dropped and %d in the queue, want 3 and 1", dropped, len(s.queue))
	}
}
