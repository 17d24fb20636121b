package pipeline

import (
	"testing"
	"time"
)

func TestRecentlyStored(t *testing.T) {
	saved := loaded{at: 10 * time.Second}
	for _, c := range []struct {
		name string
		l    loaded
		now  time.Duration
		want bool
	}{
		{"just saved", saved, 10 * time.Second, true},
		{"as old as may be", saved, 11 * time.Second, true},
		{"too old", saved, 11*time.Second + 1, false},
		{"nothing was saved", loaded{}, time.Millisecond, false},
		{"no clock now", saved, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, got := c.l.recent(c.now); got != c.want {
				t.Errorf("recent: %v, want %v", got, c.want)
			}
		})
	}
}
