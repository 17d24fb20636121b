package oplog

import (
	"context"
	"errors"
	"fmt"
	"net"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

const codeMaxTimeMSExpired = 50

// Reason is why a reader had to be opened again: one of a closed set, fit for a
// metric's label.
type Reason string

// The reasons for opening a reader again.
const (
	ReasonCursor       Reason = "cursor_lost"
	ReasonMemberState  Reason = "member_state"
	ReasonNotAvailable Reason = "majority_not_available"
	ReasonPosition     Reason = "position_not_found"
	ReasonUnauthorized Reason = "unauthorized"
	ReasonNetwork      Reason = "network"
	ReasonOther        Reason = "other"
)

// Reasons lists all of them.
func Reasons() []Reason {
	return []Reason{
		ReasonCursor, ReasonMemberState, ReasonNotAvailable, ReasonPosition,
		ReasonUnauthorized, ReasonNetwork, ReasonOther,
	}
}

// codes returns the server's error codes that a read of the oplog meets, with what
// each one means for the reader.
func codes() map[int32]Reason {
	return map[int32]Reason{
		43:    ReasonCursor,       // CursorNotFound: timed out, or the member restarted
		136:   ReasonCursor,       // CappedPositionLost: the oplog rolled over the cursor
		175:   ReasonCursor,       // QueryPlanKilled: the oplog was dropped or resized
		237:   ReasonCursor,       // CursorKilled
		91:    ReasonMemberState,  // ShutdownInProgress
		189:   ReasonMemberState,  // PrimarySteppedDown
		10107: ReasonMemberState,  // NotWritablePrimary
		11600: ReasonMemberState,  // InterruptedAtShutdown
		11602: ReasonMemberState,  // InterruptedDueToReplStateChange
		13435: ReasonMemberState,  // NotPrimaryNoSecondaryOk
		13436: ReasonMemberState,  // NotPrimaryOrSecondary: recovering, rolling back
		134:   ReasonNotAvailable, // ReadConcernMajorityNotAvailableYet
		13:    ReasonUnauthorized, // Unauthorized
		18:    ReasonUnauthorized, // AuthenticationFailed
	}
}

// ErrOvertaken is returned if other members are far ahead of the one that is read from: cut
// off from them, a member stops advancing without an error.
var ErrOvertaken = errors.New("other members are far ahead")

// ErrOutsidePreference ends the reading from a member that is not one of the preferred, so
// that those are tried again.
var ErrOutsidePreference = errors.New("it is outside the read preference; trying the preferred members again")

// ReasonOf sorts an error of Open or Reader.Next.
func ReasonOf(err error) Reason {
	var position *PositionError
	var chain *ChainError
	if errors.As(err, &position) || errors.As(err, &chain) {
		return ReasonPosition
	}
	if errors.Is(err, ErrNotReadable) || errors.Is(err, ErrOvertaken) || errors.Is(err, ErrOutsidePreference) {
		return ReasonMemberState
	}
	var ce mongo.CommandError
	if errors.As(err, &ce) {
		if r, ok := codes()[ce.Code]; ok {
			return r
		}
	}
	var netErr net.Error
	if mongo.IsNetworkError(err) || mongo.IsTimeout(err) || errors.As(err, &netErr) ||
		errors.Is(err, errNoReply) || errors.Is(err, context.DeadlineExceeded) {
		return ReasonNetwork
	}
	return ReasonOther
}

// PositionError is returned if a member does not hold the entry at a position.
type PositionError struct {
	Host     string
	Position OpTime
	// Oldest and Head are the ends of what the member holds, the head as far as
	// a majority has it.
	Oldest, Head OpTime
	// FoundTerm is the term of the entry at the position's
	// timestamp; zero where there is none.
	FoundTerm int64
}

// Another reports whether the member holds another history than the position's: entries
// around it, and not this one.
func (e *PositionError) Another() bool { return !e.Truncated() && !e.Lagging() }

// Lagging reports whether the member may still reach the position: its head is before the
// position. If it is the primary, it never will.
func (e *PositionError) Lagging() bool { return e.Position.TS.After(e.Head.TS) }

// Truncated reports whether the member's oplog begins after the position.
func (e *PositionError) Truncated() bool { return e.Oldest.TS.After(e.Position.TS) }

func (e *PositionError) Error() string {
	where := fmt.Sprintf("%s does not hold the entry at %s", e.Host, e.Position)
	switch {
	case e.Truncated():
		return fmt.Sprintf("%s: its oplog begins at %s", where, e.Oldest)
	case e.Lagging():
		return fmt.Sprintf("%s: its newest majority-committed entry is %s", where, e.Head)
	case e.FoundTerm != 0:
		return fmt.Sprintf("%s: the entry there is of term %d: another history", where, e.FoundTerm)
	default:
		return where + ": another history"
	}
}

// prove reads the entry at the position. A plain find from there would not say
// that its start has been truncated.
func (m Member) prove(ctx context.Context, p OpTime) error {
	found, ok, err := m.At(ctx, p.TS)
	if err != nil {
		return err
	}
	if ok && found.OpTime.Term == p.Term {
		return nil
	}
	head, err := m.Head(ctx)
	if err != nil {
		return err
	}
	oldest, err := m.Oldest(ctx)
	if err != nil {
		return err
	}
	lost := &PositionError{Host: m.Host, Position: p, Oldest: oldest.OpTime, Head: head}
	if ok {
		lost.FoundTerm = found.OpTime.Term
	}
	return lost
}
