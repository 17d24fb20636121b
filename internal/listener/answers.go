package listener

import (
	"fmt"
	"sync"
	"time"

	"github.com/ddltail/ddltail/internal/delivery"
)

const (
	// maxRefusals is how many different notifications in a row a receiver may refuse before
	// the cause is assumed to be a misconfiguration instead of these notifications.
	maxRefusals = 5
	// refusalPatience is how long refusals count as a misconfiguration before notifications
	// of at least this age are marked.
	refusalPatience = 24 * time.Hour
	// failingAfter is how long a receiver must fail before notifications expire without an
	// attempt.
	failingAfter = time.Minute
	// unprovenWorkers bounds concurrency before the first 2xx.
	unprovenWorkers = 4
)

// answers classifies the responses of one receiver. A wrong URL often answers 400 to
// everything: 400 and 422 are attributed to a notification only if the receiver accepts
// others. The zero value has seen no response. It is safe for concurrent use.
type answers struct {
	mu sync.Mutex
	// proven is set after the first 2xx.
	proven bool
	// bad holds the notifications that were refused since the last 2xx.
	bad map[string]bool
	// refusedSince is the time of the first refusal since the last 2xx.
	refusedSince time.Time
	// failingSince is the time of the first attempt without success since the last 2xx.
	failingSince time.Time
	// reason describes the last misconfiguration, empty if there is none; at is its time.
	reason string
	at     time.Time
}

// judge returns the outcome of an attempt, given the earlier responses. A refusal becomes
// Rejected or Misconfigured. written is when the notification was written.
func (a *answers) judge(key string, written time.Time, o delivery.Outcome, now time.Time) delivery.Outcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch o.Verdict {
	case delivery.Delivered:
		a.proven, a.reason, a.refusedSince, a.failingSince = true, "", time.Time{}, time.Time{}
		clear(a.bad)
		return o
	case delivery.Refused:
		a.note(key)
		if a.refusedSince.IsZero() {
			a.refusedSince = now
		}
		o.Verdict = delivery.Rejected
		tooOld := now.Sub(a.refusedSince) >= refusalPatience && now.Sub(written) >= refusalPatience
		if a.misconfigured() && !tooOld {
			o.Verdict, a.reason, a.at = delivery.Misconfigured, o.Reason, now
		}
	case delivery.Misconfigured:
		a.note(key)
		a.reason, a.at = o.Reason, now
	}
	if a.failingSince.IsZero() && o.Verdict != delivery.Rejected {
		a.failingSince = now
	}
	return o
}

// reloaded returns the state after a reload of the receiver's configuration, which may have fixed a
// misconfiguration.
func (a *answers) reloaded() *answers {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &answers{proven: a.proven, failingSince: a.failingSince}
}

// failing reports whether all attempts have failed for some time.
func (a *answers) failing(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.failingSince.IsZero() && now.Sub(a.failingSince) >= failingAfter
}

// accepts reports whether the receiver has accepted a notification and no misconfiguration
// is known.
func (a *answers) accepts() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proven && !a.misconfigured()
}

// note records a refused notification, up to maxRefusals.
func (a *answers) note(key string) {
	if a.bad == nil {
		a.bad = map[string]bool{}
	}
	if len(a.bad) < maxRefusals {
		a.bad[key] = true
	}
}

// misconfigured reports whether the receiver seems to be misconfigured, as opposed to single
// notifications being invalid.
func (a *answers) misconfigured() bool {
	return len(a.bad) > 0 && !a.proven || len(a.bad) >= maxRefusals
}

// workers returns how many attempts may run concurrently and, if none may, when the next may
// start: during a misconfiguration, one attempt a minute.
func (a *answers) workers(now time.Time) (limit int, next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.misconfigured() && a.reason != "":
		if next = a.at.Add(misconfigurationBackoff); next.After(now) {
			return 0, next
		}
		return 1, time.Time{}
	case !a.proven:
		return unprovenWorkers, time.Time{}
	}
	return maxWorkers, time.Time{}
}

// closed reports whether attempts are limited to one a minute.
func (a *answers) closed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.misconfigured() && a.reason != ""
}

// misconfiguration returns the known misconfiguration; empty if there is none.
func (a *answers) misconfiguration() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reason
}

// problem returns the misconfiguration with the time since it was seen, nil if there is none.
func (a *answers) problem(now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reason == "" {
		return nil
	}
	return fmt.Errorf("%s, %s ago", a.reason, now.Sub(a.at).Round(time.Second))
}
