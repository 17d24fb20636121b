package pipeline

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// stalled is how long the loop may be silent before it counts as dead. Its
// slowest step is one attempt at a sink.
const stalled = 2 * sinkTimeout

// Status is what the pipeline shows of itself while it runs. The zero value is one
// that has not started.
type Status struct {
	mu       sync.Mutex
	beat     time.Time
	position bson.Timestamp
	tailing  bool
	reason   error
	holding  map[string]error
}

// Ready is nil while the oplog is followed and every sink takes what it is given.
func (s *Status) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for name, err := range s.holding {
		errs = append(errs, fmt.Errorf("sink %s: %w", name, err))
	}
	switch {
	case s.tailing:
	case s.reason != nil:
		errs = append(errs, fmt.Errorf("not tailing: %w", s.reason))
	default:
		errs = append(errs, errors.New("not tailing yet"))
	}
	return errors.Join(errs...)
}

// Alive is nil while the loop goes round, whatever the servers do: where it does
// not, only a restart helps.
func (s *Status) Alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if silent := time.Since(s.beat); !s.beat.IsZero() && silent > stalled {
		return fmt.Errorf("the loop has been silent for %s", silent.Round(time.Second))
	}
	return nil
}

// Position is how far the oplog has been read.
func (s *Status) Position() bson.Timestamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}

func (s *Status) read(position bson.Timestamp, tailing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat, s.position, s.tailing, s.reason = time.Now(), position, tailing, nil
	if !tailing {
		s.reason = errors.New("catching up")
	}
}

func (s *Status) stopped(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat, s.tailing, s.reason = time.Now(), false, reason
}

func (s *Status) held(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat = time.Now()
	if s.holding == nil {
		s.holding = map[string]error{}
	}
	s.holding[name] = err
}

func (s *Status) taken(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat = time.Now()
	delete(s.holding, name)
}
