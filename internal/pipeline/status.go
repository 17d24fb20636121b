package pipeline

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// loopStallThreshold is how long the loop may make no progress before it counts as dead. Its slowest step is one attempt to write to a
// sink; a command on a member is bounded by half of that.
const loopStallThreshold = 2 * sinkTimeout

// Status is the state of a running pipeline. The zero value is one that has not started.
type Status struct {
	mu       sync.Mutex
	beat     time.Time
	position bson.Timestamp
	tailing  bool
	reason   error
	failures map[string]error
}

// Ready returns nil while the oplog is tailed and no sink write is failing.
func (s *Status) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for name, err := range s.failures {
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

// Alive returns nil while the loop makes progress, regardless of the state of the servers. If
// it makes none, only a restart helps.
func (s *Status) Alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if silent := time.Since(s.beat); !s.beat.IsZero() && silent > loopStallThreshold {
		return fmt.Errorf("the loop has made no progress for %s", silent.Round(time.Second))
	}
	return nil
}

// Position returns how far the oplog has been read.
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

// progressed records progress within a step that takes long, such as a listing of a large catalog.
func (s *Status) progressed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat = time.Now()
}

func (s *Status) notTailing(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat, s.tailing, s.reason = time.Now(), false, reason
}

// Interrupted records why the pipeline was stopped to start again.
func (s *Status) Interrupted(reason error) { s.notTailing(reason) }

func (s *Status) sinkFailed(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat = time.Now()
	if s.failures == nil {
		s.failures = map[string]error{}
	}
	s.failures[name] = err
}

// sinkNotFailing records that a step of a sink has ended, so that none of its errors is current.
func (s *Status) sinkNotFailing(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat = time.Now()
	delete(s.failures, name)
}
