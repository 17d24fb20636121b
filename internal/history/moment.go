// Package history reads the audit log: the changes, the schema as of a time, and what differs
// between two times.
package history

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseMoment reads a point in time: RFC 3339 with any fraction of a second, a local
// time as the tables show it, "now", or how long ago, such as 90s, 2h, 1h30m, 1d or 2w.
func ParseMoment(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if at, err := time.ParseInLocation(stampLayout, text, time.Local); err == nil {
		return at, nil
	}
	ago, err := parseAgo(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q: want a time such as %s, or how long ago, such as 2h or 1d",
			text, now.UTC().Format(time.RFC3339))
	}
	return now.Add(-ago), nil
}

// parseAgo knows days and weeks beside Go's units.
func parseAgo(text string) (time.Duration, error) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseFloat(number, 64)
			if err != nil || !(n >= 0 && n <= 1e5) {
				return 0, fmt.Errorf("parse %q: want a number of days or weeks", text)
			}
			return time.Duration(n * float64(length)), nil
		}
	}
	ago, err := time.ParseDuration(text)
	if err == nil && ago < 0 {
		err = fmt.Errorf("parse %q: it lies in the future", text)
	}
	return ago, err
}
