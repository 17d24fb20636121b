// Package ledger records a fault test as a Run: the client's statements with the server's replies, the changes in the oplog, the
// writes to each sink, and the server's listing at the end. It shares no code with ddltail. A Run is stored as a file of JSON
// lines; package verdict judges it.
//
// The majority-committed oplog is read completely from the last primary, by an independent reader. It shows whether a
// statement took effect whose acknowledgement was lost in a failover.
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
	// NS is the full namespace; for DROP_DATABASE only the database.
	NS string `bson:"ns"`
	// Index is the index's name, for index operations only.
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

// Statement is a statement of the client with its result.
type Statement struct {
	// At is when the client received the reply.
	At time.Time `bson:"at"`
	// Effects are the changes that it makes if it succeeds; an insert may have none.
	Effects []Effect `bson:"effects,omitempty"`
	// Doubt is the reason why its result is not known; empty if it was acknowledged with w: majority.
	Doubt string `bson:"doubt,omitempty"`
}

// Ledger records the client's statements. The zero value is empty and ready to use. It is safe for concurrent use.
type Ledger struct {
	mutex      sync.Mutex
	statements []Statement
}

// Acknowledged records a statement that was acknowledged with w: majority.
func (l *Ledger) Acknowledged(effects ...Effect) { l.record(Statement{Effects: effects}) }

// Doubtful records a statement that failed with an error after which each of its effects may have taken
// place or not.
func (l *Ledger) Doubtful(reason error, effects ...Effect) {
	l.record(Statement{Effects: effects, Doubt: reason.Error()})
}

func (l *Ledger) record(s Statement) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	s.At = time.Now()
	l.statements = append(l.statements, s)
}

// Statements returns the statements recorded so far.
func (l *Ledger) Statements() []Statement {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Clone(l.statements)
}
