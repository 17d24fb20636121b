package property

import (
	"testing"
	"time"
)

// shrink leaves out operations, first many at once and then fewer, as long as what
// is left still fails and there is time.
func shrink(ops []operation, until time.Time, fails func([]operation) bool) []operation {
	for size := len(ops) / 2; size > 0; {
		shorter := false
		for at := 0; at < len(ops); {
			if time.Now().After(until) {
				return ops
			}
			rest := append(append([]operation{}, ops[:at]...), ops[min(at+size, len(ops)):]...)
			if fails(rest) {
				ops, shorter = rest, true
				continue
			}
			at += size
		}
		if size == 1 && !shorter {
			break
		}
		size = max(size/2, 1)
	}
	return ops
}

func TestShrink(t *testing.T) {
	var ops []operation
	for range 100 {
		ops = append(ops, operation{})
	}
	ops[17].db, ops[71].db = "one", "two"
	tries := 0
	got := shrink(ops, time.Now().Add(time.Minute), func(ops []operation) bool {
		tries++
		found := 0
		for _, op := range ops {
			if op.db != "" {
				found++
			}
		}
		return found == 2
	})
	if len(got) != 2 || got[0].db != "one" || got[1].db != "two" || tries > 60 {
		t.Errorf("after %d tries: %v", tries, got)
	}
}
