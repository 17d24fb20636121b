// Package age parses human-readable durations.
package age

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse parses an age such as 90s, 2h, 1h30m, 1d or 2w: Go's units, and days and weeks.
func Parse(text string) (time.Duration, error) {
	for _, unit := range []struct {
		suffix string
		length time.Duration
	}{{"d", 24 * time.Hour}, {"w", 7 * 24 * time.Hour}} {
		if number, ok := strings.CutSuffix(text, unit.suffix); ok {
			n, err := strconv.ParseFloat(number, 64)
			if err != nil || !(n >= 0 && n <= 1e5) {
				return 0, fmt.Errorf("parse %q: want a number of days or weeks", text)
			}
			return time.Duration(n * float64(unit.length)), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = fmt.Errorf("parse %q: it is negative", text)
	}
	return d, err
}
