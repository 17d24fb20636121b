package detector_test

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

// stream is a sequence of BSON documents, cut at the lengths that they say they have.
type stream []oplog.Entry

func (s stream) Fetch(_ context.Context, ts bson.Timestamp) (oplog.Entry, bool, error) {
	for _, e := range s {
		if e.OpTime.TS == ts {
			return e, true, nil
		}
	}
	return oplog.Entry{}, false, nil
}

// FuzzDetect takes any bytes as a stretch of oplog, the way that `run` does. Whatever
// they are: nothing panics, what cannot be decoded is reported with its optime, and
// what comes out is not much larger than what went in.
func FuzzDetect(f *testing.F) {
	folders, err := filepath.Glob("testdata/*/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, folder := range folders {
		for _, c := range readCases(f, folder) {
			var data []byte
			for _, e := range c.entries {
				data = append(data, e.Raw...)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, known := detector.New(schema.Scope{}), &detector.State{}
		var entries stream
		for len(data) >= 5 {
			n := min(max(int(binary.LittleEndian.Uint32(data)), 5), len(data))
			raw := bson.Raw(data[:n])
			data = data[n:]
			e, err := oplog.Decode(raw)
			if err != nil {
				checkMalformed(t, e, err)
				continue
			}
			entries = append(entries, e)
		}
		for _, e := range entries {
			unit, err := oplog.Assemble(t.Context(), e, entries)
			var chain *oplog.ChainError
			if err != nil && !errors.As(err, &chain) {
				t.Fatalf("the error is %T", err)
			}
			known.AdvanceTo(unit.OpTime.TS)
			result := d.Detect(unit, known)
			checkSize(t, result, unit, known)
			known.Apply(result)
			d.AffectedNamespaces(unit)
		}
	})
}

func checkMalformed(t *testing.T, e oplog.Entry, err error) {
	var bad *oplog.DecodeError
	if !errors.As(err, &bad) {
		t.Fatalf("the error is %T", err)
	}
	c := detector.Malformed(e)
	if c.Operation != notification.UnknownCommand || c.OpTime != e.OpTime || len(c.Command) > 17<<10 {
		t.Errorf("a malformed entry of %s is reported as %s of %s, with %d bytes", e.OpTime, c.Operation, c.OpTime, len(c.Command))
	}
}

// checkSize bounds what one unit may bring by what it is made of: its entries, and
// the definitions that it changes.
func checkSize(t *testing.T, r detector.Result, unit oplog.Unit, known *detector.State) {
	in := 1000
	for _, e := range unit.Operations {
		in += 200 + len(e.Raw)
	}
	for _, v := range known.All() {
		in += len(v.Namespace.String()) + len(v.Definition.Options)
		for _, spec := range v.Definition.Indexes {
			in += len(spec)
		}
	}
	for _, c := range r.Changes {
		// A byte can become six (\u0000), and an undo says a name five times.
		if n := len(c.Statement) + len(c.Mongosh) + len(c.Undo) + len(c.Before) + len(c.After) + len(c.Command); n > 100*in {
			t.Errorf("%d bytes became %d: %s", in, n, c.Statement)
		}
		if c.Operation == notification.UnknownCommand && len(c.Command) > 17<<10 {
			t.Errorf("%d bytes of an unknown command are kept", len(c.Command))
		}
	}
	if len(r.Changes) > in || len(r.Versions) > in {
		t.Errorf("%d bytes became %d changes and %d versions", in, len(r.Changes), len(r.Versions))
	}
}
