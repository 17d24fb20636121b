package notification

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func positionOf(t *testing.T, doc bson.D) Position {
	t.Helper()
	raw, err := bson.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return PositionOf(raw)
}

func written(id, timestamp any) bson.D {
	return bson.D{{Key: "_id", Value: id}, {Key: "timestamp", Value: timestamp}}
}

// TestPositionOrder lists notifications in the order of delivery, of all types that
// documents are written with.
func TestPositionOrder(t *testing.T) {
	docs := []bson.D{
		written("before all", -5.5),
		written("a", "no timestamp at all"),
		written("b", math.NaN()),
		written(bson.NewObjectIDFromTimestamp(time.Unix(50, 0)), nil),
		written("date", bson.NewDateTimeFromTime(time.UnixMilli(98_500))),
		written("int", int32(98)),
		written("double", 99.25),
		written("long", int64(99)),
		written("rs0:0000000100:0000000001:000000", 100.1),
		written("rs0:0000000100:0000000002:000000", 100.1),
		written("rs0:0000000100:0000000002:000001", 100.1),
		// The clock of a new primary is ahead, then behind: only the _id counts.
		written("rs0:0000000100:0000000003:000000", 3700.0),
		written("rs0:0000000100:0000000010:000000", 50.0),
		written("another_set:0000000100:0000000011:000000", 100.0),
		// By hand: after all others of the second, then by _id.
		written(int32(9), 100.9),
		written(int64(10), 100.2),
		written(300.5, 100.1),
		written("100", 100.0),
		written("rs0:100:1", 100.2),
		written("rs0:100:1:0", 100.1),
		written("rs0:0000000102:0000000001:000000", 98.0),
		written("rs0:gap:0000000102:0000000001", 102.0),
		written("rs0:snapshot:0000000102:0000000001:000000", 102.0),
		written("rs0:snapshot:0000000102:0000000001:000001", 102.0),
		written("last", math.MaxFloat64),
	}
	positions := make([]Position, len(docs))
	for i, d := range docs {
		positions[i] = positionOf(t, d)
	}
	for i, a := range positions {
		for j, b := range positions {
			if got := a.Compare(b); got != compareInts(i, j) {
				t.Errorf("%v and %v: got %d", docs[i], docs[j], got)
			}
		}
	}
	shuffled := slices.Clone(positions)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	slices.SortFunc(shuffled, Position.Compare)
	for i := range shuffled {
		if shuffled[i].Compare(positions[i]) != 0 {
			t.Fatalf("%d is %v, want %v", i, shuffled[i].id, positions[i].id)
		}
	}
}

func compareInts(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestPositionManual(t *testing.T) {
	for _, c := range []struct {
		id   any
		want bool
	}{
		{"rs0:0000000100:0000000001:000000", false},
		{"rs0:gap:0000000100:0000000001", false},
		{"rs0:snapshot:0000000100:0000000001:000002", false},
		{"rs0:100:1", true}, // the short form is not what ddltail writes
		{"0000000100:0000000001:000000", true},
		{"anything", true},
		{bson.NewObjectID(), true},
		{nil, true},
	} {
		if got := positionOf(t, written(c.id, 1.0)).Manual(); got != c.want {
			t.Errorf("%v: manual %v", c.id, got)
		}
	}
}

// TestTime: what people write as a timestamp is a time only if it can be one.
func TestTime(t *testing.T) {
	at := time.UnixMilli(1_795_000_000_123)
	for name, c := range map[string]struct {
		value any
		want  time.Time
	}{
		"seconds":        {1_795_000_000.123, at},
		"whole seconds":  {int64(1_795_000_000), time.Unix(1_795_000_000, 0)},
		"a Date":         {bson.NewDateTimeFromTime(at), at},
		"milliseconds":   {1_795_000_000_123.0, time.Time{}},
		"nanoseconds":    {int64(1_795_000_000_123_000_000), time.Time{}},
		"zero":           {0, time.Time{}},
		"a negative one": {-5.0, time.Time{}},
		"not a number":   {math.NaN(), time.Time{}},
		"infinity":       {math.Inf(1), time.Time{}},
		"a text":         {"2026-11-27", time.Time{}},
	} {
		kind, raw, err := bson.MarshalValue(c.value)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := Time(bson.RawValue{Type: kind, Value: raw})
		if !got.Equal(c.want) || ok == c.want.IsZero() {
			t.Errorf("%s: %s, %v, want %s", name, got, ok, c.want)
		}
	}
	if got, ok := Time(bson.RawValue{}); ok || !got.IsZero() {
		t.Errorf("a missing field: %s, %v", got, ok)
	}
}
