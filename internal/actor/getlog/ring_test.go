package getlog

import (
	"slices"
	"testing"
)

func TestRing(t *testing.T) {
	r := ring{}
	steps := []struct {
		name   string
		total  int64
		lines  []string
		want   []string
		missed int64
	}{
		{"the first reply, of a ring that has turned over", 5, []string{"4", "5"}, []string{"4", "5"}, 3},
		{"nothing new", 5, []string{"4", "5"}, nil, 0},
		{"one new", 6, []string{"5", "6"}, []string{"6"}, 0},
		{"exactly a ring", 8, []string{"7", "8"}, []string{"7", "8"}, 0},
		{"missed", 11, []string{"10", "11"}, []string{"10", "11"}, 1},
		{"fewer than before", 2, []string{"1", "2"}, []string{"1", "2"}, 1},
	}
	for _, s := range steps {
		lines, missed := r.next(s.total, s.lines)
		if !slices.Equal(lines, s.want) || missed != s.missed {
			t.Errorf("%s: %q, %d missed", s.name, lines, missed)
		}
	}
}
