package listener

import (
	"fmt"
	"sync"
	"time"

	"github.com/ddltail/ddltail/internal/delivery"
)

const (
	// maxRefusals is how many different notifications in a row a receiver may refuse before
	// that counts as a misconfiguration, not as faults of these notifications.
	maxRefusals = 5
	// refusalPatience is how long refusals count as a misconfiguration before the
	// notifications are marked, and how old a notification is then at least.
	refusalPatience = 24 * time.Hour
	// failingAfter is how long a receiver has to fail before it gives up notifications
	// without an attempt.
	failingAfter = time.Minute
	// unprovenWorkers bounds concurrency before the first 2xx.
	unprovenWorkers = 4
)

// answers judges the answers of one receiver. A wrong URL often answers 400 to everything: so
// 400 and 422 are the fault of a notification only if the receiver accepts others. The zero
// value has seen no answer. It is safe for concurrent use.
type answers struct {
	mu sync.Mutex
	// proven is set after the first 2xx.
	proven bool
	// bad holds the notifications without a usable answer since the last 2xx.
	bad map[string]bool
	// refusedSince is the time of the first refusal since the last 2xx.
	refusedSince time.Time
	// failingSince is the time of the first attempt without success since the last 2xx.
	failingSince time.Time
	// reason describes the last misconfiguration, empty if there is none; at is its time.
	reason string
	at     time.Time
}

// judge returns the outcome of an attempt after the answers before. A refusal becomes Rejected
// or Misconfigured. written is when the notification was written.
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

// failing reports whether nothing was accepted for some time, although it was tried.
func (a *answers) failing(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.failingSince.IsZero() && now.Sub(a.failingSince) >= failingAfter
}

// accepts reports whether the receiver has accepted something, and no misconfiguration is
// known.
func (a *answers) accepts() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proven && !a.misconfigured()
}

// note records a notification without a usable answer, up to the number that counts.
func (a *answers) note(key string) {
	if a.bad == nil {
		a.bad = map[string]bool{}
	}
	if len(a.bad) < maxRefusals {
		a.bad[key] = true
	}
}

// misconfigured reports whether the receiver as a whole seems to be misconfigured, rather
// than single notifications be at fault.
func (a *answers) misconfigured() bool {
	return len(a.bad) > 0 && !a.proven || len(a.bad) >= maxRefusals
}

// workers returns how many attempts may run concurrently, and if that is none, when the next
// may start: during a misconfiguration, one attempt a minute.
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

// misconfiguration returns what an operator has to fix; empty if nothing is known.
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
