package actor

import (
	"slices"
	"time"
)

// The bounds of what waits for its line.
const (
	maxPending = 10_000
	maxWait    = 10 * time.Minute
)

// Pending holds the changes whose actor is not known yet. The zero value is empty. It is not safe for concurrent use.
type Pending struct{ waiting []waiting }

type waiting struct {
	id    string
	entry Entry
	since time.Time
}

// Resolved is a change whose actor was found after the change was written.
type Resolved struct {
	ID    string
	Actor Actor
}

// Add lets a change wait. It reports false if the oldest one was given up for it.
func (p *Pending) Add(id string, entry Entry, now time.Time) bool {
	p.waiting = append(p.waiting, waiting{id, entry, now})
	if len(p.waiting) <= maxPending {
		return true
	}
	p.waiting = slices.Delete(p.waiting, 0, 1)
	return false
}

// Len returns the number of changes that wait.
func (p *Pending) Len() int { return len(p.waiting) }

// Resolve returns the changes whose actor is found now, and gives up those that are too old or ambiguous.
func (p *Pending) Resolve(now time.Time, find func(Entry) (Actor, Outcome)) (found []Resolved) {
	p.waiting = slices.DeleteFunc(p.waiting, func(w waiting) bool {
		a, outcome := find(w.entry)
		if outcome == Found {
			found = append(found, Resolved{w.id, a})
		}
		return outcome == Found || outcome == Ambiguous || now.Sub(w.since) >= maxWait
	})
	return found
}
