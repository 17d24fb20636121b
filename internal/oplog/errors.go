package oplog

import (
	"context"
	"errors"
	"fmt"
	"net"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

const codeMaxTimeMSExpired = 50

// Reason is why a reader had to be reopened, one of a closed set of metric labels.
type Reason string

// The reasons for reopening a reader.
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

// codes returns the server's error codes of oplog reads, with the reason that each one means.
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

// ErrOvertaken is returned if other members are far ahead of the one that is read: a member
// that is cut off from them stops advancing without an error.
var ErrOvertaken = errors.New("other members are far ahead")

// ErrOutsidePreference is returned to stop reading from a member outside the read preference,
// so that the preferred members are tried again.
var ErrOutsidePreference = errors.New("the member is outside the read preference; trying the preferred members again")

// ReasonOf classifies an error of Open or Reader.Next.
func ReasonOf(err error) Reason {
	var position *PositionError
	var chain *ChainError
	if errors.As(err, &position) || errors.As(err, &chain) {
		return ReasonPosition
	}
	if errors.Is(err, ErrNotReadable) || errors.Is(err, ErrHeadUnknown) || errors.Is(err, ErrOvertaken) || errors.Is(err, ErrOutsidePreference) {
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
	// Oldest and Head are the oldest and the newest majority-committed entry of the member.
	Oldest, Head OpTime
	// FoundTerm is the term of the entry at the position's timestamp; zero if there is none.
	FoundTerm int64
}

// Another reports whether the member's history differs from that of the position: it has
// entries around the position, but not the entry itself.
func (e *PositionError) Another() bool { return !e.Truncated() && !e.Lagging() }

// Lagging reports whether the member's head is before the position. Unless it is the primary,
// the member may still reach it.
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
		return fmt.Sprintf("%s: the entry there has term %d: another history", where, e.FoundTerm)
	default:
		return where + ": another history"
	}
}

// prove verifies that the entry at the position exists. A plain find from there would not
// report that its start has been truncated.
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
