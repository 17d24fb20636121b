// Package retry waits between attempts, and lets work in progress finish on shutdown.
package retry

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// firstWait is the wait after the first failure.
const firstWait = 100 * time.Millisecond

// NewBackOff returns waits that double from a tenth of a second to the longest one, each with a
// jitter of up to half of it in both directions.
func NewBackOff(longest time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = firstWait
	b.MaxInterval = longest
	b.Multiplier = 2
	return b
}

// Sleep waits, and reports whether the context has not ended.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Outlasting returns a context that ends a grace period after its parent ends.
func Outlasting(parent context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { stop(); cancel() }
}
