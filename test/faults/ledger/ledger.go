// Package ledger records a fault test: what the client did and was answered, what the oplog says, what each sink received, and what
// the server lists at the end. None of it shares code with ddltail. A Run holds all of that; it is stored as a file of JSON lines.
// Package verdict judges it.
//
// The oplog is read as a whole from the primary that survived, majority-committed, by a plain reader. A statement whose
// acknowledgement was lost in a failover is settled by it, not guessed.
package ledger

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Effect is one schema change without its position in the oplog.
type Effect struct {
	Operation string `bson:"operation"`
	// NS is the full namespace; of DROP_DATABASE the database alone.
	NS string `bson:"ns"`
	// Index is the index's name, of index operations only.
	Index string `bson:"index,omitempty"`
	// To is a rename's target, a full namespace.
	To string `bson:"to,omitempty"`
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

// OpTime is a position in the oplog.
type OpTime struct {
	TS   bson.Timestamp `bson:"ts"`
	Term int64          `bson:"t"`
}

// IsZero reports whether there is no position.
func (o OpTime) IsZero() bool { return o == OpTime{} }

// Change is an effect that took place.
type Change struct {
	Effect `bson:",inline"`
	OpTime OpTime    `bson:"optime"`
	At     time.Time `bson:"at,omitempty"`
	// N counts the changes of one entry, or of one transaction, from 0.
	N int `bson:"n"`
}

// ID is the _id that the change's document must have.
func (c Change) ID(source string) string {
	return fmt.Sprintf("%s:%010d:%010d:%06d", source, c.OpTime.TS.T, c.OpTime.TS.I, c.N)
}

// Statement is what the client asked for and what it was answered.
type Statement struct {
	// At is when the answer came.
	At time.Time `bson:"at"`
	// Effects are what it does if it takes place; an insert may have none.
	Effects []Effect `bson:"effects,omitempty"`
	// Doubt says why it is not known whether it took place; empty if the server acknowledged it for a majority.
	Doubt string `bson:"doubt,omitempty"`
}

// Ledger records the client's statements. The zero value is empty and ready to use. It is safe for concurrent use.
type Ledger struct {
	mutex      sync.Mutex
	statements []Statement
}

// Acknowledged records a statement that the server acknowledged for a majority.
func (l *Ledger) Acknowledged(effects ...Effect) { l.record(Statement{Effects: effects}) }

// Doubtful records a statement that ended with this error: each of its effects may have taken place or not.
func (l *Ledger) Doubtful(reason error, effects ...Effect) {
	l.record(Statement{Effects: effects, Doubt: reason.Error()})
}

func (l *Ledger) record(s Statement) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	s.At = time.Now()
	l.statements = append(l.statements, s)
}

// Statements returns what was recorded so far.
func (l *Ledger) Statements() []Statement {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Clone(l.statements)
}
