package mongotest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/fetch"
)

// Clock is the wall clock of servers, which a test can set. The monotonic clock is not changed, so that timeouts keep their
// length.
type Clock struct{ library, file string }

// NewClock returns a clock that shows the machine's time.
func NewClock(t *testing.T) Clock {
	t.Helper()
	library, err := fetch.Path(t.Context(), "faketime.sh")
	if err != nil {
		t.Fatalf("find or fetch libfaketime: %v", err)
	}
	c := Clock{library: library, file: filepath.Join(t.TempDir(), "clock")}
	c.Set(t, 0)
	return c
}

// Set makes the clock show the machine's time plus an offset. Servers read it again within a second.
func (c Clock) Set(t *testing.T, offset time.Duration) {
	t.Helper()
	// Renamed into place, so that a server never reads a partial file.
	if err := os.WriteFile(c.file+".new", fmt.Appendf(nil, "%+d\n", int(offset.Seconds())), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(c.file+".new", c.file); err != nil {
		t.Fatal(err)
	}
}

func (c Clock) environment() []string {
	if c.library == "" {
		return nil
	}
	return []string{
		"LD_PRELOAD=" + c.library, "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_CACHE_DURATION=1", "FAKETIME_DONT_FAKE_MONOTONIC=1",
	}
}
