// Package history reads the audit log: the changes, the schema at a time, and the differences
// between two times.
package history

import (
	"fmt"
	"time"

	"github.com/ddltail/ddltail/internal/age"
)

// ParseMoment parses a time: RFC 3339 with any fraction of a second, a local time in the form
// of the tables, "now", or an age such as 90s, 2h, 1h30m, 1d or 2w.
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
	ago, err := age.Parse(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q: want a time such as %s, or an age such as 2h or 1d",
			text, now.UTC().Format(time.RFC3339))
	}
	return now.Add(-ago), nil
}
