// Package recovery decides what to do if the history after the stored position may be lost. Its
// decisions are pure functions of the members' replies; the pipeline does the I/O.
package recovery

import (
	"errors"
	"time"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
)

// Cause is why the history after a position is lost.
type Cause string

const (
	// Truncated: every oplog begins after the position.
	Truncated Cause = "truncated"
	// OtherHistory: the oplogs include the time of the position, or end before it, but do not
	// have its entry: a restored backup, a recreated replica set.
	OtherHistory Cause = "other history"
	// BrokenTransaction: the beginning of a transaction that committed after the position was
	// truncated.
	BrokenTransaction Cause = "broken transaction"
	// CheckpointLost: the stored checkpoint was deleted; the position was derived from
	// history and catalog.
	CheckpointLost Cause = "checkpoint lost"
)

// Grace is how long every reachable member must lack the position before it counts as lost,
// unless it is certain at once. The majority-committed view of a new primary lags its oplog
// briefly, and an unreachable member may have the position.
const Grace = 15 * time.Second

// LostError is returned if no member holds the entries after the position.
type LostError struct {
	Cause Cause
	// View holds the members that were queried.
	View replicaset.View
	Err  error
}

func (e *LostError) Error() string {
	return "the history after the position is lost: " + e.Err.Error()
}

func (e *LostError) Unwrap() error { return e.Err }

// LacksPosition reports whether a member replied and does not have the required entries.
func LacksPosition(err error) bool {
	var position *oplog.PositionError
	var chain *oplog.ChainError
	return errors.As(err, &position) || errors.As(err, &chain)
}

// causeOf returns the cause of loss that one member's reply indicates.
func causeOf(err error) Cause {
	var position *oplog.PositionError
	switch {
	case !errors.As(err, &position):
		return BrokenTransaction
	case position.Truncated():
		return Truncated
	}
	return OtherHistory
}
