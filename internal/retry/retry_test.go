package retry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ddltail/ddltail/internal/retry"
)

// TestNewBackOff: the waits double up to the longest, with jitter of half their length.
func TestNewBackOff(t *testing.T) {
	const longest = time.Second
	b := retry.NewBackOff(longest)
	want := 100 * time.Millisecond
	for range 8 {
		if got := b.NextBackOff(); got < want/2 || got > want*3/2 {
			t.Errorf("waits %s, want about %s", got, want)
		}
		want = min(2*want, longest)
	}
	b.Reset()
	if got := b.NextBackOff(); got > 150*time.Millisecond {
		t.Errorf("after a reset it waits %s", got)
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !retry.Sleep(t.Context(), time.Hour) || time.Since(began) != time.Hour {
			t.Errorf("slept %s", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if began = time.Now(); retry.Sleep(ctx, time.Hour) || time.Since(began) != time.Minute {
			t.Errorf("a context that ends: slept %s", time.Since(began))
		}
	})
}

// TestOutlasting: work in progress gets the grace period once the parent has ended.
func TestOutlasting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, end := context.WithCancel(t.Context())
		ctx, cancel := retry.Outlasting(parent, 2*time.Second)
		defer cancel()
		time.Sleep(time.Hour)
		if ctx.Err() != nil {
			t.Fatal("ended before its parent")
		}
		end()
		ended := time.Now()
		<-ctx.Done()
		if grace := time.Since(ended); grace != 2*time.Second {
			t.Errorf("ended %s after its parent", grace)
		}
	})
}
