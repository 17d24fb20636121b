// Package members chooses the member of a replica set to read from, and opens its oplog at a
// position.
package members

import (
	"context"
	"time"

	"github.com/ddltail/ddltail/internal/oplog"
)

// disconnectTimeout bounds the end of a member's connections.
const disconnectTimeout = 500 * time.Millisecond

// Member is a connection to one member. The caller must Close it.
type Member struct {
	oplog.Member
}

// Close closes the member's connections.
func (m Member) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), disconnectTimeout)
	defer cancel()
	// The connections are closed either way; the error does not matter.
	_ = m.Client.Disconnect(ctx)
}

// Position is where an oplog is opened, with what is known about the entries there.
type Position struct {
	oplog.Moment
	// Inclusive is true if the entry at Moment is still to be published.
	Inclusive bool
	// Chain is a transaction whose beginning the last member lacked; nil if there is none.
	Chain *oplog.ChainError
	// RequestedStart and Baseline bound the part of the oplog before the first run that START
	// includes; RequestedStart is zero without a past START.
	RequestedStart, Baseline oplog.OpTime
}

// BeforeBaseline reports whether an optime is before the baseline of a first run with a past
// START: truncated entries there are not a gap.
func (p Position) BeforeBaseline(at oplog.OpTime) bool {
	return !p.RequestedStart.IsZero() && at.TS.Before(p.Baseline.TS)
}

// Opened is a member whose oplog was opened. The caller must Close it.
type Opened struct {
	Member
	Reader *oplog.Reader
	// Shard is the shard's name and cluster, if the set is part of a cluster.
	Shard oplog.Shard
	// From is the position that was opened: the oldest entry, if entries before the baseline
	// were truncated.
	From Position
}

// Close closes the reader and the member's connections.
func (o Opened) Close() {
	o.Reader.Close()
	o.Member.Close()
}
