// Package attribution finds the actors of changes. It reads the logs of the set's members, joins their lines with oplog entries, and
// stores actors that are found after a notification was written.
//
// All work is done in one goroutine, [Attributor.Run]. The pipeline waits for it, for a bounded time, in [Attributor.Find].
package attribution

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
)

// The bounds of pending searches.
const (
	maxWaiting = 10_000
	maxAge     = 10 * time.Minute
	// hopelessAge is how long a search continues that no current source can answer: another member may become readable.
	hopelessAge = 30 * time.Second
)

// Config configures an Attributor. All fields except GetLog, Files and History must be set.
type Config struct {
	// GetLog is true if the logs of all members are read by the command getLog; Files are the paths of logs.
	GetLog bool
	Files  []string
	// Wait is how long Find waits at most.
	Wait   time.Duration
	Fields []actor.Field
	Seeds  replicaset.Seeds
	// Source is the first part of every _id.
	Source string
	// Since is the time of the oldest change whose actor may be searched for.
	Since time.Time
	// Actors stores actors that are found late; History has the notifications, nil if they are not stored.
	Actors, History *mongo.Collection
	Metrics         Metrics
	Log             *zap.Logger
}

// Metrics are the metrics of an Attributor.
type Metrics struct {
	Actors *prometheus.CounterVec // evidence, exact
	Wait   prometheus.Histogram
	Missed prometheus.Counter
}

// None is the label evidence of a change without an actor.
const None = "none"

// Attributor finds out who made changes.
type Attributor struct {
	Config

	drops   Drops
	mu      sync.Mutex
	waiting []*search
	newest  time.Time // time of the newest entry that was seen
	arrived chan struct{}
}

// New returns an Attributor. Run must be called for it to find anything.
func New(c Config) *Attributor { return &Attributor{Config: c, arrived: make(chan struct{}, 1)} }

// search is the search for the actor of a subject.
type search struct {
	Subject
	since time.Time
	// done is closed when the actor is found or cannot be found soon; the fields below are guarded by the Attributor's lock.
	done     chan struct{}
	closed   bool
	outcome  actor.Outcome
	actor    actor.Actor
	reported bool // the actor is in the notification
	late     bool // no batch waits for it
}

func (s *search) close() {
	if !s.closed {
		s.closed = true
		close(s.done)
	}
}

// Find returns the actors of notifications, by _id. It waits until all are found, or until no source can have a line for the remaining
// ones, and at most for Config.Wait. Actors that are found later are stored.
func (a *Attributor) Find(ctx context.Context, subjects []Subject) map[string]actor.Actor {
	began := time.Now()
	searches := a.register(subjects, false)
	if len(searches) == 0 {
		return nil
	}
	timer := time.NewTimer(a.Wait)
	defer timer.Stop()
	for _, s := range searches {
		select {
		case <-s.done:
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		break
	}
	a.Metrics.Wait.Observe(time.Since(began).Seconds())
	return a.collect(searches)
}

// Subject returns the subject of a committed unit. Call it for each in order.
func (a *Attributor) Subject(u oplog.Unit) Subject {
	a.mu.Lock()
	if u.Wall.After(a.newest) {
		a.newest = u.Wall
	}
	a.mu.Unlock()
	return a.drops.Subject(u)
}

func (a *Attributor) newestWall() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.newest
}

// register adds a search for each subject that can have an actor.
func (a *Attributor) register(subjects []Subject, late bool) []*search {
	now := time.Now()
	var added []*search
	for _, subject := range subjects {
		if !subject.possible() {
			a.count(actor.Actor{}, len(subject.IDs))
			continue
		}
		added = append(added, &search{Subject: subject, since: now, done: make(chan struct{}), late: late})
	}
	a.mu.Lock()
	a.waiting = append(a.waiting, added...)
	for excess := len(a.waiting) - maxWaiting; excess > 0; excess-- {
		a.giveUp(a.waiting[0])
		a.waiting = slices.Delete(a.waiting, 0, 1)
	}
	a.mu.Unlock()
	select {
	case a.arrived <- struct{}{}:
	default:
	}
	return added
}

// possible reports whether any source can have the actor.
func (s Subject) possible() bool {
	return s.Session != actor.UID{} || slices.ContainsFunc(s.Entries, func(e actor.Entry) bool { return e.Leaves(0) })
}

// collect returns the actors that were found in time. The others are stored when they are found.
func (a *Attributor) collect(searches []*search) map[string]actor.Actor {
	found := map[string]actor.Actor{}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range searches {
		s.late = true
		if s.actor.IsZero() {
			continue
		}
		s.reported = true
		for _, id := range s.IDs {
			found[id] = s.actor.Only(a.Fields)
		}
	}
	return found
}

// giveUp ends a search without a result.
func (a *Attributor) giveUp(s *search) {
	s.close()
	if s.actor.IsZero() {
		a.count(actor.Actor{}, len(s.IDs))
	}
}

func (a *Attributor) count(found actor.Actor, n int) {
	evidence, exact := string(found.Evidence), strconv.FormatBool(found.Exact)
	if found.IsZero() {
		evidence = None
	}
	a.Metrics.Actors.WithLabelValues(evidence, exact).Add(float64(n))
}
