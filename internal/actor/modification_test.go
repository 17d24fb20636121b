package actor

import "testing"

// TestMayEqual: a value equals itself in the log and in the entry, whatever it looks like.
func TestMayEqual(t *testing.T) {
	for _, c := range []struct {
		a, b any
		want bool
	}{
		{"nan", "nan", true},
		{"NaN", "NaN", true},
		{"inf", "Infinity", true},
		{"1.0", "1", true},
		{"1", "2", false},
		{"a", "b", false},
		{"off", "strict", false},
		{true, false, false},
		{object{"$gt": "nan"}, object{"$gt": "nan"}, true},
		{object{"$gt": "1"}, object{"$gt": "2"}, false},
	} {
		if got := mayEqual(c.a, c.b); got != c.want {
			t.Errorf("%v and %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
