package alerts

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shorten divides every time in the rules by a factor: `for`, windows, offsets, and the ages and headrooms that are compared with
// seconds. The two weeks of a certificate are not changed, because a test certificate can have any lifetime.
func shorten(rules string, by int) string {
	duration := regexp.MustCompile(`(for: |\[|offset )(\d+[smhd])`)
	rules = duration.ReplaceAllStringFunc(rules, func(found string) string {
		m := duration.FindStringSubmatch(found)
		return fmt.Sprintf("%s%dms", m[1], length(m[2]).Milliseconds()/int64(by))
	})
	seconds := regexp.MustCompile(`(seconds [<>] )(\d+)\b`)
	return seconds.ReplaceAllStringFunc(rules, func(found string) string {
		m := seconds.FindStringSubmatch(found)
		n, _ := strconv.Atoi(m[2])
		if n == 0 {
			return found
		}
		return m[1] + strconv.FormatFloat(float64(n)/float64(by), 'f', -1, 64)
	})
}

// length parses a Prometheus duration with one unit.
func length(text string) time.Duration {
	if days, is := strings.CutSuffix(text, "d"); is {
		n, _ := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour
	}
	d, _ := time.ParseDuration(text)
	return d
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"for: 5m": "for: 30000ms",
		"increase(x_total[1h]) > 0 or (x_total > 0 unless x_total offset 1h)": "increase(x_total[360000ms]) > 0 or (x_total > 0 unless x_total offset 360000ms)",
		"max_over_time(x[1d]) == 1":                         "max_over_time(x[8640000ms]) == 1",
		"time() - x_seconds > 300 and x_seconds > 0":        "time() - x_seconds > 30 and x_seconds > 0",
		"x_seconds < 900 and x_seconds < 0.5 * (y_seconds)": "x_seconds < 90 and x_seconds < 0.5 * (y_seconds)",
		"expiry_seconds - time() < 14 * 86400":              "expiry_seconds - time() < 14 * 86400",
		"min_over_time(unprocessed[30m]) > 1000":            "min_over_time(unprocessed[180000ms]) > 1000",
	} {
		if got := shorten(rule, 10); got != want {
			t.Errorf("%s becomes\n%s, want\n%s", rule, got, want)
		}
	}
}
