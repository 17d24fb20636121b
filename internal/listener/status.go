package listener

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Mode is how a listener learns that there is something new.
type Mode string

// The modes.
const (
	Streaming Mode = "change_stream"
	Polling   Mode = "polling"
)

// Modes lists them.
func Modes() []string { return []string{string(Streaming), string(Polling)} }

// stalled is how long the loop may be silent before it counts as dead.
const stalled = 2 * scanTimeout

// Status is what a listener shows of itself while it runs. The zero value is one
// that has not started.
type Status struct {
	mu               sync.Mutex
	beat             time.Time
	mode             Mode
	queue            error
	misconfiguration string
	total            int
}

// Ready is nil while the queue can be read and the backend takes what it is given,
// or may take it later.
func (s *Status) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	switch {
	case s.queue != nil:
		errs = append(errs, fmt.Errorf("the queue: %w", s.queue))
	case s.beat.IsZero():
		errs = append(errs, errors.New("not listening yet"))
	}
	if s.misconfiguration != "" {
		errs = append(errs, fmt.Errorf("%s: check DDLTAIL_BACKEND_URL and what the backend expects", s.misconfiguration))
	}
	return errors.Join(errs...)
}

// Alive returns nil while the loop makes progress, whatever the servers do: if it does
// not, only a restart helps.
func (s *Status) Alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if silent := time.Since(s.beat); !s.beat.IsZero() && silent > stalled {
		return fmt.Errorf("the loop has been silent for %s", silent.Round(time.Second))
	}
	return nil
}

// Mode is how the listener learns of what is new; empty before it knows.
func (s *Status) Mode() Mode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mode
}

// Unprocessed is how many notifications waited when the queue was last read.
func (s *Status) Unprocessed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// setMode reports whether it is another than before.
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
}

// round notes that the loop went round, and what a person has to mend.
func (s *Status) round(misconfiguration string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.beat.IsZero() {
		s.beat = time.Now()
	}
	s.misconfiguration = misconfiguration
}
