package listener

import (
	"math/rand/v2"
	"time"
)

const (
	// longestWait is the longest pause between two attempts to reach the queue.
	maxBackoff = 5 * time.Second
	// stopGrace is how long a request may go on after the listener has been told to
	// stop, and lastWord what a mark may take after that.
	stopGrace   = 2500 * time.Millisecond
	updateGrace = time.Second

	// claimLength is how long a notification belongs to the listener that took it:
	// longer than a request can last.
	claimLength = 20 * time.Second
	// mistakeWait is the pause after an answer that only a person can mend.
	misconfigurationBackoff = time.Minute
	// maxWait bounds every wait that a document can ask for.
	maxWait = time.Hour

	firstRetry = 250 * time.Millisecond
	earlyRetry = 5 * time.Second
	lateRetry  = time.Minute
	// early is how long a notification must have failed before it is tried less often.
	early = 10 * time.Minute
)

// retryWait is the pause after a failed attempt: it doubles with their number, up to
// a bound that grows with the time for which they have failed. Up to a fifth of it
// is left to chance, so that many do not come back at one moment.
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
