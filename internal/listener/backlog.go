package listener

import (
	"slices"
)

// surveyed is how many notifications a survey keeps, of however many there are.
const maxBacklog = 20_000

// survey is what is unprocessed at one moment: for each lane the first of what it
// holds. What does not fit is found by a later survey, when these are done.
type backlog struct {
	queue      string
	partitions map[partition]*head
	// total counts all, kept or not; oldest is the timestamp of the oldest of them
	// in seconds, zero if none has one.
	total  int
	oldest float64

	limit int // of notifications kept in one lane
	kept  int
}

// page is the beginning of a lane, in order.
type head struct {
	records []record
	// more says that the lane goes on behind it.
	more bool
}

func (s *backlog) add(n record) {
	s.total++
	if n.timed && (s.oldest == 0 || n.seconds < s.oldest) {
		s.oldest = n.seconds
	}
	key := partitionOf(n, s.queue)
	p := s.partitions[key]
	if p == nil {
		p = &head{}
		s.partitions[key] = p
	}
	p.records = append(p.records, n)
	s.kept++
	if len(p.records) >= 2*s.limit {
		s.cut(p)
	}
	for s.kept > 2*maxBacklog && s.limit > 1 {
		s.limit /= 2
		for _, p := range s.partitions {
			s.cut(p)
		}
	}
}

// cut leaves of a lane what comes first.
func (s *backlog) cut(p *head) {
	slices.SortFunc(p.records, record.compare)
	if len(p.records) <= s.limit {
		return
	}
	s.kept -= len(p.records) - s.limit
	clear(p.records[s.limit:])
	p.records, p.more = p.records[:s.limit], true
}
