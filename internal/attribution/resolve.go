package attribution

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/actor/getlog"
)

// source is a log in which actors are searched for: a file, or the ring buffer of a member.
type source interface {
	// lines returns the lines that were read, and the time up to which they are complete.
	lines() (log *actor.Log, until time.Time)
	// confirmLater records that a line was found whose connection or term must be read from the server.
	confirmLater()
	// works reports whether the last read succeeded.
	works() bool
}

func (w *worker) sources() []source {
	var all []source
	for _, f := range w.files {
		all = append(all, f)
	}
	for _, m := range w.members {
		if m.ring.began {
			all = append(all, &m.ring)
		}
	}
	return all
}

// resolve searches for actors.
func (w *worker) resolve(ctx context.Context, open []*search) {
	sources := w.sources()
	for _, s := range open {
		if s.outcome == actor.Found || s.outcome == actor.Ambiguous {
			continue
		}
		found, outcome := s.find(sources)
		if s.Session != (actor.UID{}) && s.Session != sha256.Sum256(nil) {
			w.readUsers(ctx, s.Session)
		}
		combined, result := w.users.Combine(s.Session, found, outcome)
		w.mu.Lock()
		switch {
		case result == actor.Found && outcome == actor.Found:
			s.actor, s.outcome = combined, actor.Found
			s.close()
		case result == actor.Found: // the session identifies the user; a line, if it is found later, also has the application
			s.actor = combined
		case outcome == actor.Found || outcome == actor.Ambiguous: // session and line contradict each other, or two lines each other
			s.actor, s.outcome = actor.Actor{}, actor.Ambiguous
		}
		w.mu.Unlock()
	}
}

// find returns the actor of a subject from all sources. If two sources disagree, the result is ambiguous.
func (s *search) find(sources []source) (actor.Actor, actor.Outcome) {
	best, outcome := actor.Actor{}, actor.None
	for _, from := range sources {
		log, until := from.lines()
		for _, entry := range s.Entries {
			entry.Logged = until.After(s.since)
			found, result := log.Find(entry)
			switch {
			case result == actor.Unconfirmed:
				from.confirmLater()
				if outcome == actor.None {
					outcome = actor.Unconfirmed
				}
			case result == actor.Ambiguous:
				return actor.Actor{}, actor.Ambiguous
			case result == actor.Found && outcome == actor.Found && !best.Agrees(found):
				return actor.Actor{}, actor.Ambiguous
			case result == actor.Found && (outcome != actor.Found || found.Exact && !best.Exact):
				best, outcome = found, actor.Found
			}
		}
	}
	return best, outcome
}

// readUsers reads the names of the users if the user of a session is not known.
func (w *worker) readUsers(ctx context.Context, session actor.UID) {
	if _, known := w.users.User(session); known || time.Since(w.usersReadAt) < usersEvery {
		return
	}
	m := w.primary()
	if m == nil {
		return
	}
	w.usersReadAt = time.Now()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	users, err := getlog.Users(ctx, m.client)
	if err != nil {
		w.warn("users cannot be listed; the sessions of transactions do not identify users", "", zap.Error(err))
		return
	}
	w.users = actor.NewDirectory(users)
}

// finish removes completed searches, and ends the wait for those that no source can answer soon.
func (w *worker) finish(open []*search) {
	sources := w.sources()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range open {
		if !s.closed && !s.hopeful(sources) {
			s.close()
		}
	}
	w.waiting = slices.DeleteFunc(w.waiting, func(s *search) bool {
		over := s.outcome == actor.Found || s.outcome == actor.Ambiguous || s.late && !s.actor.IsZero() ||
			time.Since(s.since) > maxAge || time.Since(s.since) > hopelessAge && !s.hopeful(sources)
		if !over {
			return false
		}
		s.close()
		if s.actor.IsZero() {
			w.giveUp(s)
			return true
		}
		w.count(s.actor, len(s.IDs))
		w.found = append(w.found, resolved{s, time.Now()})
		return true
	})
}

// hopeful reports whether a working source can still get a line.
func (s *search) hopeful(sources []source) bool {
	return slices.ContainsFunc(sources, func(from source) bool {
		log, _ := from.lines()
		return from.works() && slices.ContainsFunc(s.Entries, func(e actor.Entry) bool { return e.Leaves(log.Version()) && log.CanHave(e) })
	})
}
