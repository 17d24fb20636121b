package recovery

import (
	"errors"
	"time"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
)

// Survey holds the replies of a set's members to a query for the position.
type Survey struct {
	View replicaset.View
	// Failures holds each member's error, by host. No member was opened.
	Failures map[string]error
	// Direct is true if the URI names one member only (directConnection).
	Direct bool
	// LackingSince is when all members were first found without the position; zero if the last
	// survey found it.
	LackingSince time.Time
}

// Assess decides whether history is lost. The error is a *LostError if it is: the primary,
// or the directly connected member, lacks the position, and so does every other readable
// member, for certain or for Grace. Otherwise it joins the members' errors, and the caller
// retries with the returned LackingSince.
func Assess(s Survey, now time.Time) (lackingSince time.Time, err error) {
	var errs []error
	var decisive error
	certain := len(s.View.Unreachable) == 0
	for _, m := range s.View.Members {
		failure := s.Failures[m.Host]
		errs = append(errs, failure)
		if !LacksPosition(failure) {
			return time.Time{}, errors.Join(errs...)
		}
		if m.Primary || s.Direct {
			decisive = failure
		}
		// A lagging member has not reached the position yet.
		var position *oplog.PositionError
		certain = certain && (!errors.As(failure, &position) || !position.Lagging())
	}
	all := errors.Join(errs...)
	lackingSince = s.LackingSince
	if lackingSince.IsZero() {
		lackingSince = now
	}
	if decisive == nil || !certain && now.Sub(lackingSince) < Grace {
		return lackingSince, all
	}
	return lackingSince, &LostError{Cause: causeOf(decisive), View: s.View, Err: all}
}
