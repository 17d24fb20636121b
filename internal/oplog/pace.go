package oplog

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const (
	// awaitTime is how long a getMore waits for a match. It is not a whole second: reads at
	// the same phase of each second would always see the same part of a second's ordinals.
	awaitTime = 700 * time.Millisecond
	// pollTime is the shortest wait that a getMore of an awaitData cursor can request; 0
	// means the server's default of a second.
	pollTime = time.Millisecond
	// worthPausing is how many entries must be expected within a pause: a getMore costs the
	// server more than one wake-up of a waiting cursor.
	worthPausing = 10
	// ownWrites is about how many oplog entries ddltail's own writes for one change cause.
	ownWrites = 8
	// calmAfter is how long the write rate must be low before the cursor waits for data again.
	calmAfter = 300 * time.Millisecond
)

// pace decides how a tailable cursor is read. The server wakes a cursor that waits for data
// at every write, whether it matches or not, which slows writers down. Therefore the cursor
// waits for data at low write rates, and is read in intervals at high ones.
type pace struct {
	// target is the longest delay that a pause may add; 0 never pauses.
	target time.Duration
	// pausing is true while the write rate is high; calm is how long it has been low.
	pausing bool
	calm    time.Duration
	// matched is the number of matches of the previous reading.
	matched int
}

// reading is what one getMore shows of the write rate.
type reading struct {
	// from and to are how far the server has scanned before and after.
	from, to bson.Timestamp
	// took is the time since the previous reading.
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
	case p.isHigh(least-own, r.took):
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

// isHigh reports whether a pause at this write rate saves enough wake-ups.
func (p pace) isHigh(written int, took time.Duration) bool {
	return written >= worthPausing && time.Duration(written) >= worthPausing*took/p.target
}

// next returns the next reading. There is no pause after a match, because more may follow.
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

// written returns the least number of entries that were written between two positions, and
// whether it is exact. The increment of a timestamp counts the entries of its second: for a
// position in a later second only the entries of that second are known.
func (r reading) written() (least int, exact bool) {
	if r.from.T == r.to.T {
		return int(r.to.I - r.from.I), true
	}
	return int(r.to.I), false
}
