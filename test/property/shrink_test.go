package property

import (
	"slices"
	"testing"
	"time"
)

// shrink removes operations, first many at once and then fewer, while the rest still
// fails and there is time.
func shrink[T any](ops []T, until time.Time, fails func([]T) bool) []T {
	for size := len(ops) / 2; size > 0; {
		shorter := false
		for at := 0; at < len(ops); {
			if time.Now().After(until) {
				return ops
			}
			rest := append(append([]T{}, ops[:at]...), ops[min(at+size, len(ops)):]...)
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
	ops := make([]string, 100)
	ops[17], ops[71] = "one", "two"
	tries := 0
	got := shrink(ops, time.Now().Add(time.Minute), func(ops []string) bool {
		tries++
		return slices.Contains(ops, "one") && slices.Contains(ops, "two")
	})
	if !slices.Equal(got, []string{"one", "two"}) || tries > 60 {
		t.Errorf("after %d tries: %q", tries, got)
	}
}
