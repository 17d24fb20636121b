package oplog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/tools/txtar"
)

func marshal(tb testing.TB, doc any) bson.Raw {
	tb.Helper()
	raw, err := bson.Marshal(doc)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// whole is an entry with every field that Decode reads and some that it does not.
func whole() bson.D {
	return bson.D{
		{Key: "op", Value: "c"},
		{Key: "ns", Value: "banking_db.$cmd"},
		{Key: "ui", Value: UUID{15: 7}.Binary()},
		{Key: "o", Value: bson.D{{Key: "drop", Value: "payments"}}},
		{Key: "o2", Value: bson.D{{Key: "numRecords", Value: int64(3)}}},
		{Key: "ts", Value: bson.Timestamp{T: 1795480031, I: 7}},
		{Key: "t", Value: int64(2)},
		{Key: "v", Value: int64(2)},
		{Key: "wall", Value: bson.DateTime(1795480031975)},
		{Key: "fromMigrate", Value: true},
		{Key: "prevOpTime", Value: bson.D{{Key: "ts", Value: bson.Timestamp{T: 5, I: 6}}, {Key: "t", Value: int64(1)}}},
		{Key: "multiOpType", Value: int32(1)},
		{Key: "versionContext", Value: bson.D{{Key: "OFCV", Value: "9.0"}}},
	}
}

// with returns the whole entry with one field set to another value, or without it.
func with(name string, value any) bson.D {
	var doc bson.D
	for _, e := range whole() {
		if e.Key != name {
			doc = append(doc, e)
		}
	}
	if value == nil {
		return doc
	}
	return append(doc, bson.E{Key: name, Value: value})
}

func TestDecode(t *testing.T) {
	raw := marshal(t, whole())
	e, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if e.OpTime != optime(1795480031, 7, 2) || e.PrevOpTime != optime(5, 6, 1) {
		t.Errorf("optimes %s and %s", e.OpTime, e.PrevOpTime)
	}
	if want := time.Date(2026, 11, 24, 0, 27, 11, 975e6, time.UTC); e.Wall != want {
		t.Errorf("wall %s, want %s", e.Wall, want)
	}
	if e.Op != OpCommand || e.NS != "banking_db.$cmd" || e.Database() != "banking_db" || e.UUID != (UUID{15: 7}) {
		t.Errorf("got %+v", e)
	}
	if !e.FromMigrate || e.MultiOpType != 1 || e.Object2.Lookup("numRecords").Int64() != 3 || string(e.Raw) != string(raw) {
		t.Errorf("got %+v", e)
	}
	if name, v := e.Command(); name != "drop" || v.StringValue() != "payments" {
		t.Errorf("command %q %s", name, v)
	}
}

func TestDecodeIsLenient(t *testing.T) {
	for name, doc := range map[string]bson.D{
		"only op":               {{Key: "op", Value: "n"}},
		"no wall":               with("wall", nil),
		"nulls":                 with("o2", bson.Null{}),
		"a term of int32":       with("t", int32(2)),
		"a term of double":      with("t", 2.0),
		"ui of an older kind":   with("ui", bson.Binary{Subtype: 3, Data: make([]byte, 16)}),
		"a document's entry":    with("op", "i"),
		"an op of a later time": with("op", "xi"),
		"no command's name":     {{Key: "op", Value: "i"}, {Key: "o", Value: bson.D{}}},
	} {
		if _, err := Decode(marshal(t, doc)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	e, err := Decode(marshal(t, with("fromMigrate", false)))
	if err != nil || e.FromMigrate {
		t.Errorf("fromMigrate: false is read as %t, %v", e.FromMigrate, err)
	}
	e, err = Decode(marshal(t, bson.D{{Key: "op", Value: "i"}, {Key: "ns", Value: "db.a.b"}}))
	if name, _ := e.Command(); err != nil || name != "" || e.Database() != "db" || !e.Wall.IsZero() || !e.OpTime.IsZero() {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestDecodeMistakes(t *testing.T) {
	at := optime(1795480031, 7, 2)
	for _, c := range []struct {
		field string
		value any
		at    OpTime
	}{
		{"op", 1, at}, {"op", nil, at}, {"ns", 1, at}, {"o", nil, at}, {"o", "drop", at},
		{"o2", bson.A{}, at}, {"wall", "now", at}, {"ui", "x", at}, {"ui", bson.Binary{Subtype: 4, Data: []byte{1}}, at},
		{"fromMigrate", 1, at}, {"multiOpType", "1", at}, {"prevOpTime", 1, at},
		{"prevOpTime", bson.D{{Key: "ts", Value: 1}}, at},
		{"prevOpTime", bson.D{{Key: "t", Value: "1"}}, at},
		{"ts", int64(5), OpTime{}}, {"ts", bson.DateTime(1), OpTime{}}, {"t", "2", OpTime{}},
	} {
		e, err := Decode(marshal(t, with(c.field, c.value)))
		var bad *DecodeError
		if !errors.As(err, &bad) {
			t.Errorf("%s of %v: got %v, want a *DecodeError", c.field, c.value, err)
			continue
		}
		if !strings.HasPrefix(bad.Field, c.field) || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s of %v: %v", c.field, c.value, err)
		}
		if !c.at.IsZero() && (bad.OpTime != c.at || !strings.Contains(err.Error(), c.at.String())) {
			t.Errorf("%s of %v: the optime is %s, want %s", c.field, c.value, bad.OpTime, c.at)
		}
		if !c.at.IsZero() && e.OpTime != c.at {
			t.Errorf("%s of %v: the entry's optime is %s, want %s", c.field, c.value, e.OpTime, c.at)
		}
	}
}

func TestDecodeTruncated(t *testing.T) {
	raw := marshal(t, whole())
	for n := range raw {
		if _, err := Decode(raw[:n]); err == nil {
			t.Errorf("%d of %d bytes are decoded", n, len(raw))
		}
	}
}

// corpus returns real entries of all kinds, from every server version.
func corpus(tb testing.TB) []bson.Raw {
	tb.Helper()
	files, err := filepath.Glob("../detector/testdata/corpus/*/*.txtar")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no corpus: %v", err)
	}
	var raws []bson.Raw
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		for _, file := range txtar.Parse(data).Files {
			if file.Name == "entries" {
				raws = append(raws, ExtJSON(tb, string(file.Data))...)
			}
		}
	}
	return raws
}

// ExtJSON reads a document a line.
func ExtJSON(tb testing.TB, lines string) []bson.Raw {
	tb.Helper()
	var raws []bson.Raw
	for line := range strings.Lines(lines) {
		var raw bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(line), true, &raw); err != nil {
			tb.Fatalf("%s: %v", line, err)
		}
		raws = append(raws, raw)
	}
	return raws
}

func TestDecodeCorpus(t *testing.T) {
	for _, raw := range corpus(t) {
		e, err := Decode(raw)
		if err != nil || e.OpTime.IsZero() || e.OpTime.Term == 0 || e.Wall.IsZero() || e.NS == "" && e.Op != OpNoop {
			t.Errorf("%s: %+v, %v", raw, e, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for i, raw := range corpus(f) {
		if i%20 == 0 {
			f.Add([]byte(raw))
		}
	}
	f.Add([]byte(marshal(f, whole())))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Decode(data)
		var bad *DecodeError
		if err != nil && !errors.As(err, &bad) {
			t.Errorf("the error is %T", err)
		}
		if len(e.Object) > len(data) || len(e.Object2) > len(data) {
			t.Errorf("%d bytes became %d and %d", len(data), len(e.Object), len(e.Object2))
		}
		e.Command()
		e.Database()
	})
}
