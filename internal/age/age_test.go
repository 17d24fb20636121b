package age_test

import (
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/age"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour, "1.5d": 36 * time.Hour, "2w": 14 * 24 * time.Hour, "0s": 0,
	} {
		if got, err := age.Parse(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "1", "-1h", "-1d", "NaNd", "1e9d", "1y", "1d2h", "yesterday"} {
		if got, err := age.Parse(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}
