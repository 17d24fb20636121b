package listener

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ddltail/ddltail/internal/refusal"
)

// Mode is how a listener detects new notifications.
type Mode string

// The modes.
const (
	Streaming Mode = "change_stream"
	Polling   Mode = "polling"
)

// Modes returns all modes.
func Modes() []string { return []string{string(Streaming), string(Polling)} }

// stalled is how long the loop may make no progress before it counts as dead.
const stalled = 2 * scanTimeout

// refusalLength is how long a refusal counts: the update is retried every second.
const refusalLength = 15 * time.Second

// Status is the state of a running listener. The zero value is not started.
type Status struct {
	mu    sync.Mutex
	beat  time.Time
	mode  Mode
	queue error
	// refused is the last refusal of one document, at its time.
	refused   error
	refusedAt time.Time
	total     int
	// receivers report their misconfigurations.
	receivers []*dispatcher
}

// Ready returns nil while the queue is readable and no misconfiguration is known.
func (s *Status) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	switch {
	case s.queue != nil:
		errs = append(errs, fmt.Errorf("queue not available: %w", s.queue))
	case s.beat.IsZero():
		errs = append(errs, errors.New("not started yet"))
	}
	if s.refused != nil && time.Since(s.refusedAt) < refusalLength {
		errs = append(errs, s.refused)
	}
	for _, d := range s.receivers {
		if err := d.answers.problem(time.Now()); err != nil {
			errs = append(errs, fmt.Errorf("receiver %s: %w (%s)", d.receiver.Name, err, d.receiver.Remedy))
		}
	}
	return errors.Join(errs...)
}

// Alive returns nil while the loop makes progress, regardless of the state of the servers. If
// it makes none, only a restart helps.
func (s *Status) Alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if silent := time.Since(s.beat); !s.beat.IsZero() && silent > stalled {
		return fmt.Errorf("no progress for %s", silent.Round(time.Second))
	}
	return nil
}

// Mode returns how new notifications are detected; empty if not known yet.
func (s *Status) Mode() Mode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mode
}

// Unprocessed returns the number of unprocessed notifications at the last scan, false if
// it is not known: before the first scan, and while the queue cannot be read.
func (s *Status) Unprocessed() (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total, !s.beat.IsZero() && s.queue == nil
}

// setMode sets the mode and reports whether it changed.
func (s *Status) setMode(m Mode) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.mode != m
	s.mode = m
	return changed
}

func (s *Status) queueRead(total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat, s.queue, s.total = time.Now(), nil, total
}

func (s *Status) queueFailed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = err
	var refused *refusal.Error
	if errors.As(err, &refused) {
		// The queue itself is available, as the next scan shows.
		s.refused, s.refusedAt = err, time.Now()
	}
}

// Interrupted records why the listener was stopped to start again, and that the process makes progress.
func (s *Status) Interrupted(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat, s.queue = time.Now(), reason
}

// round records an iteration of the loop.
func (s *Status) round(receivers []*dispatcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.beat.IsZero() {
		s.beat = time.Now()
	}
	s.receivers = receivers
}
