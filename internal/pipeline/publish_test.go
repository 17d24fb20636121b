package pipeline

import (
	"testing"
	"time"
)

func TestRecentlyStored(t *testing.T) {
	saved := loaded{at: 10 * time.Second, known: true}
	for _, c := range []struct {
		name  string
		l     loaded
		now   time.Duration
		clock bool
		want  bool
	}{
		{"just saved", saved, 10 * time.Second, true, true},
		{"as old as may be", saved, 11 * time.Second, true, true},
		{"too old", saved, 11*time.Second + 1, true, false},
		{"nothing was saved", loaded{}, 0, true, false},
		{"no clock now", saved, 10 * time.Second, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, got := c.l.recent(c.now, c.clock); got != c.want {
				t.Errorf("recent: %v, want %v", got, c.want)
			}
		})
	}
}
