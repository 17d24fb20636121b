package oplog

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const (
	// awaitTime is how long the server holds a getMore without a match. It is no whole
	// second: read at one phase of the second, the ordinals of the timestamps would always
	// show the same part of what is written in a second.
	awaitTime = 700 * time.Millisecond
	// pollTime is the shortest wait that a getMore of an awaitData cursor can request; 0
	// means the server's default of a second.
	pollTime = time.Millisecond
	// worthPausing is how many entries must be expected within a pause: a getMore costs the
	// server more than one wake-up of a waiting cursor.
	worthPausing = 10
	// ownWrites is about how many entries ddltail writes for a change that it has read.
	ownWrites = 8
	// calmAfter is how long little must be written before the cursor waits for data again.
	calmAfter = 300 * time.Millisecond
)

// pace decides how a tailable cursor is read. The server wakes a cursor that waits for data
// at every write, matches or not, which slows the writers down. So the cursor waits for data
// while little is written, and is read in intervals while much is.
type pace struct {
	// target is the longest delay that a pause may add; 0 never pauses.
	target time.Duration
	// pausing is true while much is written; calm is for how long little has been.
	pausing bool
	calm    time.Duration
	// matched is the number of matches of the reading before.
	matched int
}

// reading is what one getMore shows of the write rate.
type reading struct {
	// from and to are how far the server has scanned before and after.
	from, to bson.Timestamp
	// took is the time since the reading before.
	took    time.Duration
	matches int
}

// step is the next reading: a pause since the last one, then a getMore that waits for data
// at most this long.
type step struct {
	pause, wait time.Duration
}

// after returns the pace after a reading.
func (p pace) after(r reading) pace {
	own := ownWrites * (r.matches + p.matched)
	next := pace{target: p.target, pausing: p.pausing, matched: r.matches}
	least, exact := r.written()
	switch {
	case p.target == 0:
		return pace{}
	case p.isMuch(least-own, r.took):
		next.pausing = true
	case !p.pausing:
	case !exact:
		next.calm = p.calm
	default:
		next.calm = p.calm + r.took
		next.pausing = next.calm < calmAfter
	}
	return next
}

// isMuch reports whether at this rate a pause spares enough wake-ups.
func (p pace) isMuch(written int, took time.Duration) bool {
	return written >= worthPausing && time.Duration(written) >= worthPausing*took/p.target
}

// next returns the next reading. Behind a match there may be more: it is not paused before.
func (p pace) next() step {
	switch {
	case !p.pausing:
		return step{wait: awaitTime}
	case p.matched > 0:
		return step{wait: pollTime}
	}
	// The rest of the target is for the reading itself.
	return step{pause: p.target * 4 / 5, wait: pollTime}
}

// written returns how many entries were written at least between two positions, and whether
// that is their number. The second part of a timestamp counts the entries of its second, so
// that of a position in a later second only those of that second are known.
func (r reading) written() (least int, exact bool) {
	if r.from.T == r.to.T {
		return int(r.to.I - r.from.I), true
	}
	return int(r.to.I), false
}
