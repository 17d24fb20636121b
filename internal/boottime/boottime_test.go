package boottime_test

import (
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/boottime"
)

func TestNow(t *testing.T) {
	before, ok := boottime.Now()
	if !ok || before <= 0 {
		t.Fatalf("%v, %v", before, ok)
	}
	began := time.Now()
	time.Sleep(20 * time.Millisecond)
	after, _ := boottime.Now()
	if passed := after - before; passed < 20*time.Millisecond || passed > time.Since(began)+time.Millisecond {
		t.Errorf("%s passed, %s by the monotonic clock", passed, time.Since(began))
	}
}
