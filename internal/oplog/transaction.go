package oplog

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Unit is what was committed at one optime: a single entry, or the operations of a transaction
// in order.
type Unit struct {
	// OpTime and Wall are those of the entry that committed it: for a transaction, the last
	// applyOps or the commitTransaction.
	OpTime     OpTime
	Wall       time.Time
	Operations []Entry
	// SessionUser is the lsid.uid of a transaction, the SHA-256 of its user as name@db;
	// zero if there is none.
	SessionUser [sha256.Size]byte
}

// Fetcher reads the entry at one timestamp. Member is one.
type Fetcher interface {
	Fetch(ctx context.Context, ts bson.Timestamp) (Entry, bool, error)
}

// ChainError is returned if the beginning of a transaction is no longer in the oplog of
// the member that is read.
type ChainError struct {
	// End is the entry that committed the transaction, Missing the entry that was not found.
	End, Missing OpTime
}

func (e *ChainError) Error() string {
	return fmt.Sprintf("the transaction that was committed at %s began before the oldest entry: %s was truncated", e.End, e.Missing)
}

// unitOf decodes an entry and assembles its unit.
func unitOf(ctx context.Context, raw bson.Raw, from Fetcher) (Unit, error) {
	e, err := Decode(raw)
	if err != nil {
		return Unit{OpTime: e.OpTime, Wall: e.OpTime.Time(), Operations: []Entry{e}}, err
	}
	u, err := Assemble(ctx, e, from)
	if err != nil {
		return Unit{OpTime: e.OpTime, Wall: e.Wall, Operations: []Entry{e}}, err
	}
	return u, nil
}

// Assemble returns the operations that an entry commits: usually the entry itself,
// none for a part of a transaction that has not committed. A transaction larger than
// one entry is a chain, linked by prevOpTime from its last entry to its first, so that
// it can be assembled at its end: nothing is buffered while it is open, and transactions
// that abort are never assembled. The error is a *ChainError if an entry of the chain was
// truncated, and a *DecodeError if one cannot be decoded.
func Assemble(ctx context.Context, e Entry, from Fetcher) (Unit, error) {
	u := Unit{OpTime: e.OpTime, Wall: e.Wall}
	if _, uid, ok := e.Raw.Lookup("lsid", "uid").BinaryOK(); ok && len(uid) == len(u.SessionUser) {
		copy(u.SessionUser[:], uid)
	}
	name, _ := e.Command()
	if name == "applyOps" && !e.takesEffect() {
		return u, nil
	}
	if !e.endsTransaction() {
		u.Operations = e.operations()
		return u, nil
	}
	chain := []Entry{e}
	for link := e.PrevOpTime; !link.TS.IsZero(); {
		prev, ok, err := from.Fetch(ctx, link.TS)
		if err != nil {
			return Unit{}, fmt.Errorf("assemble the transaction of %s: %w", e.OpTime, err)
		}
		// prevOpTime always refers to an earlier entry; anything else could be a cycle.
		if !ok || prev.OpTime != link || !link.TS.Before(chain[len(chain)-1].OpTime.TS) {
			return Unit{}, &ChainError{End: e.OpTime, Missing: link}
		}
		chain = append(chain, prev)
		link = prev.PrevOpTime
	}
	for _, part := range slices.Backward(chain) {
		u.Operations = append(u.Operations, part.operations()...)
	}
	return u, nil
}

// endsTransaction reports whether the entry commits earlier ones: the last applyOps of a chain,
// or the commit of a prepared transaction. 8.0's batched inserts are linked too, but each is
// complete.
func (e Entry) endsTransaction() bool {
	name, _ := e.Command()
	switch name {
	case "commitTransaction":
		return true
	case "applyOps":
		return e.MultiOpType != multiOpSeparate
	}
	return false
}

// multiOpSeparate marks entries that are linked but do not belong together.
const multiOpSeparate = 1

// takesEffect reports whether an applyOps is committed by its own entry. A part of a chain
// is committed by the last entry of the chain, a prepared transaction by its
// commitTransaction.
func (e Entry) takesEffect() bool {
	for _, waits := range []string{"partialTxn", "prepare"} {
		if on, ok := e.Object.Lookup(waits).BooleanOK(); ok && on {
			return false
		}
	}
	return true
}

// operations returns the operations of an applyOps, expanding nested ones; any other entry
// is returned as it is. Malformed operations are kept without their content, for the
// detector to report.
func (e Entry) operations() []Entry {
	name, value := e.Command()
	if name != "applyOps" {
		return []Entry{e}
	}
	inner, ok := value.ArrayOK()
	if !ok {
		return []Entry{e}
	}
	values, err := inner.Values()
	if err != nil {
		return []Entry{e}
	}
	var ops []Entry
	for _, v := range values {
		raw, _ := v.DocumentOK()
		op, err := Decode(raw)
		if err != nil {
			// Without its content, which may be a user's document.
			op = Entry{Op: OpCommand, NS: e.NS, UUID: e.UUID}
		}
		op.FromMigrate = op.FromMigrate || e.FromMigrate
		ops = append(ops, op.operations()...)
	}
	return ops
}

// Clone copies the documents of the unit's operations, so that they do not alias the buffer of
// a server's reply.
func (u Unit) Clone() Unit {
	u.Operations = slices.Clone(u.Operations)
	for i := range u.Operations {
		op := &u.Operations[i]
		op.Object, op.Object2, op.Raw = slices.Clone(op.Object), slices.Clone(op.Object2), nil
	}
	return u
}
