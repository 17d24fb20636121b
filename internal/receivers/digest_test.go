package receivers

import (
	"strings"
	"testing"
	"time"
)

// TestSpanOfDigest: changes whose time is not known do not widen the span of a message.
func TestSpanOfDigest(t *testing.T) {
	at := time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		times         []time.Time
		span, command string
	}{
		"all known":  {[]time.Time{at.Add(time.Minute), at}, "2026-11-27 06:00:00", "--since 2026-11-27T06:00:00Z --until 2026-11-27T06:01:01Z"},
		"one not":    {[]time.Time{{}, at}, "2026-11-27 06:00:00", "--since 2026-11-27T06:00:00Z"},
		"none known": {[]time.Time{{}, {}}, "time not known", "ddltail history"},
	} {
		var changes []Change
		for _, when := range c.times {
			changes = append(changes, Change{Time: when})
		}
		d := newDigest(changes, levels()[0])
		if !strings.HasPrefix(d.span, c.span) || !strings.Contains(d.command, c.command) || strings.Contains(d.span+d.command, "0001") {
			t.Errorf("%s: %q, %q", name, d.span, d.command)
		}
	}
}
