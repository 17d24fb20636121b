package oplog

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Kinds of entries that can hold a schema change, the values of "op".
const (
	OpCommand = "c"
	OpInsert  = "i"
	OpUpdate  = "u"
	OpDelete  = "d"
	OpNoop    = "n"
)

// Entry is one oplog entry, decoded leniently: servers add fields, and what is
// not decoded here is left in Raw.
//
// Object, Object2 and Raw share memory with the bytes given to Decode.
type Entry struct {
	OpTime OpTime
	// Wall is the primary's clock when it wrote the entry; zero for an operation inside an
	// applyOps, which has no time.
	Wall time.Time
	Op   string
	// NS is "db.$cmd" for commands, "db.collection" for documents.
	NS      string
	UUID    UUID
	Object  bson.Raw
	Object2 bson.Raw
	// FromMigrate marks the copies that a cluster makes between its shards. It
	// can be present and false.
	FromMigrate bool
	// PrevOpTime links the entries of one transaction, from the last to the first.
	PrevOpTime OpTime
	// MultiOpType is set on 8.0's batched inserts, which look like transactions but are not.
	MultiOpType int64
	Raw         bson.Raw
}

// DecodeError names the entry that could not be decoded, and the cause. OpTime is zero if it
// could not be read either.
type DecodeError struct {
	OpTime OpTime
	Field  string
	Reason string
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decode oplog entry %s: field %q: %s", e.OpTime, e.Field, e.Reason)
}

// Decode reads one entry as the server sent it. The error is a *DecodeError.
// Unknown fields are ignored; fields of a wrong type are an error.
func Decode(raw bson.Raw) (Entry, error) {
	e := Entry{Raw: raw}
	if err := raw.Validate(); err != nil {
		return Entry{Raw: raw}, &DecodeError{Field: "", Reason: err.Error()}
	}
	d := fields{raw: raw}
	e.OpTime = OpTime{TS: d.timestamp("ts"), Term: d.int64("t")}
	d.optime = e.OpTime
	e.Op = d.text("op")
	e.NS = d.text("ns")
	e.Object = d.document("o")
	e.Object2 = d.document("o2")
	e.Wall = d.time("wall")
	e.UUID = d.uuid("ui")
	e.FromMigrate = d.bool("fromMigrate")
	e.MultiOpType = d.int64("multiOpType")
	if prev := d.document("prevOpTime"); prev != nil {
		p := fields{raw: prev}
		e.PrevOpTime = OpTime{TS: p.timestamp("ts"), Term: p.int64("t")}
		var bad *DecodeError
		if errors.As(p.err, &bad) {
			d.fail("prevOpTime."+bad.Field, bad.Reason)
		}
	}
	if d.err == nil && e.Op == "" {
		d.fail("op", "is missing")
	}
	if d.err == nil && e.Op == OpCommand && len(e.Object) == 0 {
		d.fail("o", "is missing from a command")
	}
	if d.err != nil {
		return e, d.err
	}
	return e, nil
}

// Command returns a command's name and its value, the first element of "o". The name is empty
// if there is none.
func (e Entry) Command() (string, bson.RawValue) {
	if e.Op != OpCommand {
		return "", bson.RawValue{}
	}
	first, err := e.Object.IndexErr(0)
	if err != nil {
		return "", bson.RawValue{}
	}
	return first.Key(), first.Value()
}

// Database is the part of the namespace before its first dot.
func (e Entry) Database() string {
	db, _, _ := strings.Cut(e.NS, ".")
	return db
}

// fields reads typed fields of one document and keeps the first error. An absent field is a
// zero value; the caller decides which fields are required.
type fields struct {
	raw    bson.Raw
	optime OpTime
	err    error
}

func (f *fields) fail(field, reason string) {
	if f.err == nil {
		f.err = &DecodeError{OpTime: f.optime, Field: field, Reason: reason}
	}
}

func (f *fields) lookup(field string) (bson.RawValue, bool) {
	v, err := f.raw.LookupErr(field)
	if err != nil || v.Type == bson.TypeNull {
		return bson.RawValue{}, false
	}
	return v, true
}

func (f *fields) wrongType(field string, v bson.RawValue) {
	f.fail(field, "unexpected type "+v.Type.String())
}

func (f *fields) text(field string) string {
	v, ok := f.lookup(field)
	if !ok {
		return ""
	}
	s, ok := v.StringValueOK()
	if !ok {
		f.wrongType(field, v)
	}
	return s
}

func (f *fields) timestamp(field string) bson.Timestamp {
	v, ok := f.lookup(field)
	if !ok {
		return bson.Timestamp{}
	}
	t, i, ok := v.TimestampOK()
	if !ok {
		f.wrongType(field, v)
	}
	return bson.Timestamp{T: t, I: i}
}

func (f *fields) int64(field string) int64 {
	v, ok := f.lookup(field)
	if !ok {
		return 0
	}
	n, ok := v.AsInt64OK()
	if !ok {
		f.wrongType(field, v)
	}
	return n
}

func (f *fields) bool(field string) bool {
	v, ok := f.lookup(field)
	if !ok {
		return false
	}
	b, ok := v.BooleanOK()
	if !ok {
		f.wrongType(field, v)
	}
	return b
}

func (f *fields) time(field string) time.Time {
	v, ok := f.lookup(field)
	if !ok {
		return time.Time{}
	}
	ms, ok := v.DateTimeOK()
	if !ok {
		f.wrongType(field, v)
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (f *fields) document(field string) bson.Raw {
	v, ok := f.lookup(field)
	if !ok {
		return nil
	}
	doc, ok := v.DocumentOK()
	if !ok {
		f.wrongType(field, v)
	}
	return doc
}

func (f *fields) uuid(field string) UUID {
	v, ok := f.lookup(field)
	if !ok {
		return UUID{}
	}
	_, data, ok := v.BinaryOK()
	if !ok || len(data) != len(UUID{}) {
		f.wrongType(field, v)
		return UUID{}
	}
	return UUID(data)
}
