package listener

import (
	"math"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const (
	// dedupWindow is the maximum distance in seconds between the timestamps of a manual
	// and an oplog notification of the same change.
	dedupWindow = 10
	// anyDatabase is a queue database that does not imply the database of the changes.
	anyDatabase = "ddltail"
)

// decision is what to do with a claimed notification that may have a duplicate.
type decision int

const (
	deliver decision = iota
	// waitForCounterpart: the other notification of the change comes first and is not
	// processed yet.
	waitForCounterpart
	skip
)

// sameChangeFilter selects notifications of the same operation, collection and index
// with a timestamp near that of n.
func sameChangeFilter(n record, window float64) bson.D {
	return bson.D{
		{Key: "operation", Value: n.operation},
		{Key: "collection", Value: sameText(n.collection)},
		{Key: "index_name", Value: sameText(n.index)},
		{Key: "$or", Value: timestampsNear(n.seconds, window)},
	}
}

// counterpartSource matches the field source of the other notification of a change.
func (o origin) counterpartSource() bson.D {
	if o == byHand {
		return bson.D{{Key: "$eq", Value: "oplog"}}
	}
	return bson.D{{Key: "$nin", Value: bson.A{"oplog", "snapshot"}}}
}

// counterparts holds what can decide whether notifications are duplicates, by the
// notifications that it can decide about. So each of many is compared with few.
type counterparts map[counterpartKey][]record

type counterpartKey struct {
	operation, collection, index string
	origin                       origin
}

// of returns what can decide about a notification.
func (c counterparts) of(n record) []record { return c[n.counterpartKey(n.origin)] }

// add adds a record that is not a notification to send, or not any more.
func (c counterparts) add(o record) {
	opposite := byHand
	if o.origin == byHand {
		opposite = fromOplog
	}
	keys := []counterpartKey{o.counterpartKey(opposite)}
	if !o.duplicateOf.IsZero() {
		keys = append(keys, o.counterpartKey(o.origin))
	}
	for _, key := range keys {
		c[key] = append(c[key], o)
	}
}

func (n record) counterpartKey(of origin) counterpartKey {
	return counterpartKey{n.operation, n.collection, n.index, of}
}

// sameText matches a name, or its absence.
func sameText(name string) any {
	if name == "" {
		return bson.D{{Key: "$in", Value: bson.A{nil, ""}}}
	}
	return name
}

// timestampsNear selects timestamps near a time, numbers and dates.
func timestampsNear(seconds, window float64) bson.A {
	from, to := seconds-window, seconds+window
	between := func(from, to any) bson.D {
		return bson.D{{Key: "timestamp", Value: bson.D{{Key: "$gte", Value: from}, {Key: "$lte", Value: to}}}}
	}
	return bson.A{between(from, to), between(date(from), date(to))}
}

func date(seconds float64) bson.DateTime { return bson.DateTime(seconds * 1000) }

// sameChange reports whether one of two notifications is manual, the other from the oplog, and
// both describe the same change. queue is the name of their database.
func sameChange(a, b record, queue string) bool {
	hand, tail := a, b
	if a.origin == fromOplog {
		hand, tail = b, a
	}
	if hand.origin != byHand || tail.origin != fromOplog || !hand.timed || !tail.timed {
		return false
	}
	database := hand.database
	if database == "" {
		database = queue
	}
	return hand.operation == tail.operation && hand.collection == tail.collection && hand.index == tail.index &&
		math.Abs(hand.seconds-tail.seconds) <= dedupWindow &&
		(database == tail.database || hand.database == "" && queue == anyDatabase)
}

// decide returns what to do with n, which this listener has claimed, and its counterpart.
// It is deterministic. Two listeners cannot both deliver the two notifications of a change:
// each claims its own before it reads the other.
func decide(n record, candidates []record, queue string) (decision, record) {
	counterpart, ok := findDuplicate(n, candidates, queue)
	switch {
	case !ok:
		return deliver, record{}
	case counterpart.processed, counterpart.sent() && !n.sent():
		// A notification that was sent is skipped only if the other is processed.
		return skip, counterpart
	case n.sent() && !counterpart.sent():
		return deliver, record{}
	case counterpart.claimed():
		return waitForCounterpart, counterpart
	case counterpart.compare(n) < 0:
		return waitForCounterpart, counterpart
	}
	return deliver, record{}
}

// findDuplicate returns the counterpart of n: a notification of the same change that has no
// duplicate yet, preferably a processed one, else the first in order.
func findDuplicate(n record, candidates []record, queue string) (record, bool) {
	var free []record
	for _, other := range candidates {
		if sameChange(n, other, queue) && !other.neverSent && (other.processed || other.pending) && !hasDuplicate(other, n, candidates) {
			free = append(free, other)
		}
	}
	if len(free) == 0 {
		return record{}, false
	}
	return slices.MinFunc(free, func(a, b record) int {
		if a.processed != b.processed {
			if a.processed {
				return -1
			}
			return 1
		}
		return a.compare(b)
	}), true
}

// hasDuplicate reports whether a notification already has a duplicate other than n.
func hasDuplicate(other, n record, candidates []record) bool {
	if !other.duplicateOf.IsZero() {
		return true
	}
	return slices.ContainsFunc(candidates, func(r record) bool {
		return r.duplicateOf.Equal(other.id) && !r.id.Equal(n.id)
	})
}

// counterpartBackoff is the wait for the counterpart to be processed.
const counterpartBackoff = 100 * time.Millisecond
