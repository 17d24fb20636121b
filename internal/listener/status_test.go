package listener

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestInterrupted: a listener that reconnects is not ready, and alive.
func TestInterrupted(t *testing.T) {
	var s Status
	s.queueRead(0)
	s.Interrupted(errors.New("reconnecting"))
	if err := s.Ready(); err == nil || !strings.Contains(err.Error(), "reconnecting") {
		t.Errorf("ready: %v", err)
	}
	s.beat = time.Now().Add(-2 * stalled)
	s.Interrupted(errors.New("still"))
	if err := s.Alive(); err != nil {
		t.Errorf("alive: %v", err)
	}
}
