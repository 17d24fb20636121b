package oplog

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestWithin: only the wait for one reply is bounded, not their number.
func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := within(t.Context(), time.Minute, func(ctx context.Context, received func()) error {
			for range 10 {
				time.Sleep(40 * time.Second)
				received()
			}
			return ctx.Err()
		})
		if err != nil {
			t.Errorf("ten replies, each in time: %v", err)
		}
		err = within(t.Context(), time.Minute, func(ctx context.Context, received func()) error {
			received()
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, errNoReply) {
			t.Errorf("no second reply: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		err = within(ended, time.Minute, func(ctx context.Context, _ func()) error { return ctx.Err() })
		if !errors.Is(err, context.Canceled) || errors.Is(err, errNoReply) {
			t.Errorf("the caller ended it: %v", err)
		}
	})
}
