package notification

import (
	"bytes"
	"cmp"
	"math"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Position is the place of a notification in the order of delivery. It is derived from fields
// that never change, so that it is the same in every process.
//
// Positions are totally ordered: by second, then notifications written by ddltail before
// those written by hand, then by increment and ordinal, then by _id.
type Position struct {
	// Second, Increment and Ordinal are the parts T, I and n of the _id SOURCE:T:I:n. For a
	// notification written by hand only the second is known.
	Second    int64
	Increment uint32
	Ordinal   int
	// Source is the first part of the _id. It is empty for one written by hand.
	Source string

	id bson.RawValue
}

// PositionOf returns the position of a notification document. A document whose _id was not
// written by ddltail counts as written by hand: its second is that of its timestamp, or else
// of its ObjectId, or else zero.
func PositionOf(doc bson.Raw) Position {
	p := Position{id: doc.Lookup("_id")}
	if text, ok := p.id.StringValueOK(); ok {
		if id, err := ParseID(text); err == nil && id.Source != "" && id.String() == text {
			p.Source, p.Second, p.Increment, p.Ordinal = id.Source, int64(id.TS.T), id.TS.I, id.Ordinal
			return p
		}
	}
	if seconds, ok := Seconds(doc.Lookup("timestamp")); ok {
		p.Second = wholeSecond(seconds)
	} else if id, ok := p.id.ObjectIDOK(); ok {
		p.Second = id.Timestamp().Unix()
	}
	return p
}

// Manual reports whether the notification was written by hand.
func (p Position) Manual() bool { return p.Source == "" }

// Compare returns -1 if p is before other, 1 if it is after, and 0 only if both are
// positions of the same notification.
func (p Position) Compare(other Position) int {
	return cmp.Or(
		cmp.Compare(p.Second, other.Second),
		compareManual(p, other),
		cmp.Compare(p.Increment, other.Increment),
		cmp.Compare(p.Ordinal, other.Ordinal),
		compareIDs(p.id, other.id),
	)
}

func compareManual(a, b Position) int {
	switch {
	case a.Manual() == b.Manual():
		return 0
	case b.Manual():
		return -1
	}
	return 1
}

// Timestamp returns a time in the form of a notification's timestamp: epoch seconds, to the
// millisecond.
func Timestamp(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// Seconds converts the timestamp of a notification, in any type found in documents written
// by hand, to epoch seconds. It returns false for a value that is not a time.
func Seconds(v bson.RawValue) (float64, bool) {
	if at, ok := v.TimeOK(); ok {
		return Timestamp(at), true
	}
	if f, ok := v.AsFloat64OK(); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
		return f, true
	}
	return 0, false
}

// Time converts the timestamp of a notification to a time. It returns false for a value that cannot be one: people also write
// milliseconds, as Date.now() returns them, or nanoseconds.
func Time(v bson.RawValue) (time.Time, bool) {
	if at, ok := v.TimeOK(); ok {
		return at, true
	}
	const bound = 1e11 // the year 5138
	seconds, ok := Seconds(v)
	if !ok || seconds <= 0 || seconds >= bound {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(seconds * 1000))), true
}

// wholeSecond rounds down. Beyond the bounds a float64 cannot represent every integer, and the
// conversion of larger values to int64 is undefined.
func wholeSecond(seconds float64) int64 {
	const bound = 1 << 53
	return int64(math.Floor(max(-bound, min(bound, seconds))))
}

// compareIDs orders _ids: numbers first, by value; then the others by BSON type, and strings
// bytewise.
func compareIDs(a, b bson.RawValue) int {
	x, xIsNumber := number(a)
	y, yIsNumber := number(b)
	switch {
	case xIsNumber && !yIsNumber:
		return -1
	case !xIsNumber && yIsNumber:
		return 1
	case xIsNumber:
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a.Type, b.Type), bytes.Compare(a.Value, b.Value))
	}
	s, okS := a.StringValueOK()
	t, okT := b.StringValueOK()
	if okS && okT {
		return cmp.Compare(s, t)
	}
	return cmp.Or(cmp.Compare(a.Type, b.Type), bytes.Compare(a.Value, b.Value))
}

func number(v bson.RawValue) (float64, bool) {
	switch v.Type {
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble:
		return v.AsFloat64OK()
	}
	return 0, false
}
