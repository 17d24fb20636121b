package oplog

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

func optime(t, i uint32, term int64) OpTime {
	return OpTime{TS: bson.Timestamp{T: t, I: i}, Term: term}
}

func TestOpTimeOrder(t *testing.T) {
	inOrder := []OpTime{
		{}, optime(0, 0, 1), optime(0, 1, 0), optime(1, 0, -1), optime(1, 0, 9), optime(1, 1, 1),
		optime(2, 0, 0), optime(1<<31, 0, 0), optime(math.MaxUint32, math.MaxUint32, math.MaxInt64),
	}
	for i, a := range inOrder {
		for j, b := range inOrder {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%s.Compare(%s) is %d, want %d", a, b, got, want)
			}
			if got := a.After(b); got != (i > j) {
				t.Errorf("%s.After(%s) is %t", a, b, got)
			}
		}
	}
	if !slices.IsSortedFunc(inOrder, OpTime.Compare) {
		t.Error("not sorted")
	}
}

func TestOpTimeZero(t *testing.T) {
	if !(OpTime{}).IsZero() || !(OpTime{Term: 3}).IsZero() || optime(0, 1, 0).IsZero() {
		t.Error("zero is that no timestamp was ever set")
	}
}

func TestOpTimeTime(t *testing.T) {
	want := time.Date(2106, 2, 7, 6, 28, 15, 0, time.UTC)
	if got := optime(math.MaxUint32, 7, 1).Time(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOpTimeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := optime(rapid.Uint32().Draw(t, "t"), rapid.Uint32().Draw(t, "i"), rapid.Int64().Draw(t, "term"))
		got, err := ParseOpTime(want.String())
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v", want, got, err)
		}
		doc, err := bson.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var stored OpTime
		if err := bson.Unmarshal(doc, &stored); err != nil || stored != want {
			t.Errorf("%s: stored as %s and read as %s, %v", want, bson.Raw(doc), stored, err)
		}
	})
}

func TestParseOpTimeMistakes(t *testing.T) {
	for text, part := range map[string]string{
		"": "want T:I:term", "1:2": "want T:I:term", "1:2:3:4": "want T:I:term",
		"x:2:3": "seconds", "4294967296:2:3": "seconds", "-1:2:3": "seconds", "1: 2:3": "increment",
		"1:4294967296:3": "increment", "1:2:": "term", "1:2:9223372036854775808": "term",
	} {
		if _, err := ParseOpTime(text); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: got %v, want %q", text, err, part)
		}
	}
}

func FuzzParseOpTime(f *testing.F) {
	for _, seed := range []string{"1:2:3", "0:0:-1", "4294967295:0:0", "+1:2:3", "::", "1:2:3:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOpTime(text)
		if err != nil {
			return
		}
		if again, err := ParseOpTime(o.String()); err != nil || again != o {
			t.Errorf("%q is read as %s, and that as %s, %v", text, o, again, err)
		}
	})
}

func TestUUID(t *testing.T) {
	u := UUID{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	if got := u.String(); got != "00112233-4455-6677-8899-aabbccddeeff" {
		t.Errorf("got %s", got)
	}
	b := u.Binary()
	if b.Subtype != bson.TypeBinaryUUID || string(b.Data) != string(u[:]) {
		t.Errorf("got %v", b)
	}
	b.Data[0] = 1
	if u[0] != 0 {
		t.Error("the binary shares its bytes")
	}
	if u.IsZero() || !(UUID{}).IsZero() {
		t.Error("only the zero value is zero")
	}
}
