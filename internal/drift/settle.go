package drift

import "time"

// Settling records since when each difference exists. The zero value is empty.
type Settling struct{ since map[string]time.Time }

// Update records the differences at an oplog time, and counts by kind those that have existed for at
// least settle, so that a running migration is not reported.
func (s *Settling) Update(all []Difference, at time.Time, settle time.Duration) map[Kind]int {
	since := map[string]time.Time{}
	counts := map[Kind]int{}
	for _, k := range Kinds() {
		counts[k] = 0
	}
	for _, d := range all {
		id := d.ID()
		first, known := s.since[id]
		if !known || first.After(at) {
			first = at
		}
		since[id] = first
		if at.Sub(first) >= settle {
			counts[d.Kind]++
		}
	}
	s.since = since
	return counts
}
