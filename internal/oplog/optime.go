// Package oplog reads local.oplog.rs of one replica set member and decodes its
// entries.
//
// Pure code (positions, decoding) is separate from code that uses a server (Member, Reader),
// so that the detector is a function of entries only.
package oplog

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// OpTime identifies one entry of one history: the timestamp orders entries, the term
// distinguishes entries that two primaries wrote at the same timestamp.
type OpTime struct {
	TS   bson.Timestamp `bson:"ts"`
	Term int64          `bson:"t"`
}

// IsZero reports whether the position is not set.
func (o OpTime) IsZero() bool { return o.TS.IsZero() }

// Compare orders by timestamp first, as the oplog itself does, then by term.
func (o OpTime) Compare(p OpTime) int {
	if c := o.TS.Compare(p.TS); c != 0 {
		return c
	}
	return cmp.Compare(o.Term, p.Term)
}

// After reports whether o is after p in the oplog.
func (o OpTime) After(p OpTime) bool { return o.Compare(p) > 0 }

// Time returns the second in which the entry was written, on the primary's clock.
func (o OpTime) Time() time.Time { return time.Unix(int64(o.TS.T), 0).UTC() }

// Before returns the last optime before o, whether or not it has an entry: the state then is
// the one to which an entry at o applies.
func (o OpTime) Before() OpTime {
	switch {
	case o.TS.I > 0:
		o.TS.I--
	case o.TS.T > 0:
		o.TS = bson.Timestamp{T: o.TS.T - 1, I: math.MaxUint32}
	}
	return o
}

// Moment is an optime with the wall clock of its entry, for display.
type Moment struct {
	OpTime `bson:",inline"`
	Wall   time.Time `bson:"wall"`
}

// String returns "T:I:term", which ParseOpTime reads.
func (o OpTime) String() string {
	return fmt.Sprintf("%d:%d:%d", o.TS.T, o.TS.I, o.Term)
}

// ParseOpTime reads what OpTime.String wrote.
func ParseOpTime(s string) (OpTime, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return OpTime{}, fmt.Errorf("parse optime %q: want T:I:term", s)
	}
	t, err := strconv.ParseUint(parts[0], 10, 32)
	if err != nil {
		return OpTime{}, fmt.Errorf("parse optime %q: seconds: %w", s, err)
	}
	i, err := strconv.ParseUint(parts[1], 10, 32)
	if err != nil {
		return OpTime{}, fmt.Errorf("parse optime %q: increment: %w", s, err)
	}
	term, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return OpTime{}, fmt.Errorf("parse optime %q: term: %w", s, err)
	}
	return OpTime{TS: bson.Timestamp{T: uint32(t), I: uint32(i)}, Term: term}, nil
}

// UUID identifies a collection; the zero value means that it is not known.
type UUID [16]byte

// IsZero reports whether the UUID is not known.
func (u UUID) IsZero() bool { return u == UUID{} }

// Binary returns the UUID as BSON stores it.
func (u UUID) Binary() bson.Binary {
	return bson.Binary{Subtype: bson.TypeBinaryUUID, Data: append([]byte(nil), u[:]...)}
}

// String returns the usual form with four hyphens.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
