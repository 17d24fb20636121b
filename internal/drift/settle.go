package drift

import "time"

// Settling keeps since when each difference lasts. The zero value knows none.
type Settling struct{ since map[string]time.Time }

// Update takes the differences at a time of the oplog, and counts by kind those that have
// lasted for that long: a migration is under way for a while.
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
