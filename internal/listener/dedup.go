package listener

import (
	"math"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const (
	// pairWindow is how far apart, in seconds, a change and the notification that
	// somebody wrote of it may be.
	dedupWindow = 10
	// anywhere is the queue's database where it says nothing of the changes' database.
	anyDatabase = "ddltail"
)

// decision is what pairing says about a notification that is next to be handed over.
type decision int

const (
	deliver decision = iota
	// waitForPartner: the other of the pair comes first, and is not done yet.
	waitForCounterpart
	skip
)

// like selects the notifications that say the same as n at about the same time.
func sameChangeFilter(n record, window float64) bson.D {
	return bson.D{
		{Key: "operation", Value: n.operation},
		{Key: "collection", Value: sameText(n.collection)},
		{Key: "index_name", Value: sameText(n.index)},
		{Key: "$or", Value: timestampsNear(n.seconds, window)},
	}
}

// sameText matches a name, or that there is none.
func sameText(name string) any {
	if name == "" {
		return bson.D{{Key: "$in", Value: bson.A{nil, ""}}}
	}
	return name
}

// around selects timestamps of both kinds near a moment.
func timestampsNear(seconds, window float64) bson.A {
	from, to := seconds-window, seconds+window
	between := func(from, to any) bson.D {
		return bson.D{{Key: "timestamp", Value: bson.D{{Key: "$gte", Value: from}, {Key: "$lte", Value: to}}}}
	}
	return bson.A{between(from, to), between(date(from), date(to))}
}

func date(seconds float64) bson.DateTime { return bson.DateTime(seconds * 1000) }

// pairs reports whether one of two notifications was made by hand and the other by
// `ddltail run`, of the same change. queue is the database that holds both.
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

// decide says what to do with n, which this listener has claimed, and of what it is
// the second. It is deterministic, and two listeners that decide about the two of a
// pair do not both choose to deliver: each has claimed its own before it reads the
// other's.
func decide(n record, candidates []record, queue string) (decision, record) {
	counterpart, ok := findDuplicate(n, candidates, queue)
	switch {
	case !ok:
		return deliver, record{}
	case counterpart.processed:
		return skip, counterpart
	case counterpart.claimed():
		return waitForCounterpart, counterpart
	case counterpart.compare(n) < 0:
		return waitForCounterpart, counterpart
	}
	return deliver, record{}
}

// partnerOf picks one of those that n pairs with and that no other has: one that has
// been handed over if there is one, then the first.
func findDuplicate(n record, candidates []record, queue string) (record, bool) {
	free := slices.DeleteFunc(slices.Clone(candidates), func(other record) bool {
		return !sameChange(n, other, queue) || other.refused || !other.processed && !other.pending || hasDuplicate(other, n, candidates)
	})
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

// taken reports whether a notification has a partner already.
func hasDuplicate(other, n record, candidates []record) bool {
	if !other.duplicateOf.IsZero() {
		return true
	}
	return slices.ContainsFunc(candidates, func(r record) bool {
		return r.duplicateOf.Equal(other.id) && !r.id.Equal(n.id)
	})
}

// partnerPause is how long to leave the first of a pair to whoever has it.
const counterpartBackoff = 100 * time.Millisecond
