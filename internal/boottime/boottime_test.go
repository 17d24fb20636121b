package boottime_test

import (
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/boottime"
)

func TestNow(t *testing.T) {
	before := boottime.Now()
	if before <= 0 {
		t.Fatal(before)
	}
	began := time.Now()
	time.Sleep(20 * time.Millisecond)
	if passed := boottime.Now() - before; passed < 20*time.Millisecond || passed > time.Since(began)+time.Millisecond {
		t.Errorf("%s passed, %s by the monotonic clock", passed, time.Since(began))
	}
}
