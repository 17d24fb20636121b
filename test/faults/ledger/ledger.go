// Package ledger keeps the books of a fault test, by three witnesses that share no code with ddltail:
//
//   - the client enters every statement that it gave, and whether the server acknowledged it (Ledger);
//   - the oplog says what happened: a plain reader takes all of it from the primary that survived, majority-committed, at the end
//     (Oplog). A statement whose acknowledgement was lost in a failover is settled by it, not guessed;
//   - queue and history hold what ddltail published (ReadPublished).
//
// Compare holds what was told against what happened; Ledger.Settle holds what happened against what the client did, so that a reader
// that overlooks entries would be noticed too.
package ledger

import (
	"fmt"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Effect is one schema change without its place in the oplog.
type Effect struct {
	Operation string
	// NS is the full namespace; of DROP_DATABASE the database alone.
	NS string
	// Index is the index's name, of index operations only.
	Index string
	// To is a rename's target, a full namespace.
	To string
}

func (e Effect) String() string {
	text := e.Operation + " " + e.NS
	if e.Index != "" {
		text += " " + e.Index
	}
	if e.To != "" {
		text += " to " + e.To
	}
	return text
}

// OpTime is a place in the oplog.
type OpTime struct {
	TS   bson.Timestamp `bson:"ts"`
	Term int64          `bson:"t"`
}

// Change is an effect that took place.
type Change struct {
	Effect
	OpTime OpTime
	// N counts the changes of one entry, or of one transaction, from 0.
	N int
}

// ID is the _id that the change's document must have.
func (c Change) ID(source string) string {
	return fmt.Sprintf("%s:%010d:%010d:%06d", source, c.OpTime.TS.T, c.OpTime.TS.I, c.N)
}

// Ledger is what the client wrote down. The zero value is an empty one. It may be used by several goroutines.
type Ledger struct {
	mutex        sync.Mutex
	statements   int
	acknowledged map[Effect]int
	doubtful     map[Effect]int
	reasons      []string
}

// Acknowledged enters a statement that the server said is done and known to a majority.
func (l *Ledger) Acknowledged(effects ...Effect) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.statements++
	if l.acknowledged == nil {
		l.acknowledged = map[Effect]int{}
	}
	for _, e := range effects {
		l.acknowledged[e]++
	}
}

// Doubtful enters a statement that ended with this error: each of its effects may have taken place or not.
func (l *Ledger) Doubtful(reason error, effects ...Effect) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.statements++
	if l.doubtful == nil {
		l.doubtful = map[Effect]int{}
	}
	for _, e := range effects {
		l.doubtful[e]++
	}
	l.reasons = append(l.reasons, fmt.Sprintf("%v: %v", effects, reason))
}

// Settlement is what became of the client's statements.
type Settlement struct {
	Statements int
	// Doubtful effects had no acknowledgement; Happened is how many of them took place all the same.
	Doubtful, Happened int
	// Missing were acknowledged and are not in the oplog.
	Missing []Effect
	// Unasked are in the oplog, and the client never asked for them.
	Unasked []Effect
	// Reasons say of each doubtful statement how it ended.
	Reasons []string
}

// Settle holds the oplog against what the client did.
func (l *Ledger) Settle(made []Change) Settlement {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	s := Settlement{Statements: l.statements, Reasons: l.reasons}
	happened := map[Effect]int{}
	for _, c := range made {
		happened[c.Effect]++
	}
	for e, n := range l.acknowledged {
		for range n - happened[e] {
			s.Missing = append(s.Missing, e)
		}
	}
	for _, n := range l.doubtful {
		s.Doubtful += n
	}
	for e, n := range happened {
		beyond := n - l.acknowledged[e]
		s.Happened += max(0, min(beyond, l.doubtful[e]))
		for range beyond - l.doubtful[e] {
			s.Unasked = append(s.Unasked, e)
		}
	}
	return s
}

func (s Settlement) String() string {
	return fmt.Sprintf("%d statements, %d effects in doubt of which %d happened, %d acknowledged and not in the oplog, %d in the oplog and never asked for",
		s.Statements, s.Doubtful, s.Happened, len(s.Missing), len(s.Unasked))
}
