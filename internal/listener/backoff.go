package listener

import (
	"math/rand/v2"
	"time"
)

const (
	// maxBackoff bounds the backoff after a failed operation on the queue.
	maxBackoff = 5 * time.Second
	// stopGrace is how long a request may continue after shutdown begins, updateGrace
	// how long the update after it may take.
	stopGrace   = 2500 * time.Millisecond
	updateGrace = time.Second

	// claimLength is how long a claim is valid: longer than a request can take.
	claimLength = 20 * time.Second
	// misconfigurationBackoff is the backoff after a response that indicates a
	// misconfiguration.
	misconfigurationBackoff = time.Minute
	// maxWait bounds every wait stored in a document.
	maxWait = time.Hour

	firstRetry = 250 * time.Millisecond
	earlyRetry = 5 * time.Second
	lateRetry  = time.Minute
	// early is how long a notification must fail before retries become less frequent.
	early = 10 * time.Minute
)

// retryWait returns the backoff after a failed attempt: exponential in the number of
// attempts, with a bound that grows after a period of failure, and up to 20 % jitter.
func retryWait(attempts int64, failing, asked time.Duration) time.Duration {
	bound := earlyRetry
	if failing >= early {
		bound = lateRetry
	}
	wait := bound
	if attempts < 10 {
		wait = min(bound, firstRetry<<max(0, attempts-1))
	}
	wait -= time.Duration(rand.Int64N(int64(wait) / 5))
	return min(maxWait, max(wait, asked))
}
