package listener

import (
	"slices"
)

// maxBacklog bounds the records that one scan keeps in memory.
const maxBacklog = 20_000

// backlog is the result of one scan: the first unprocessed records of each partition.
// Records over the bound are read by a later scan.
type backlog struct {
	queue      string
	partitions map[partition]*head
	// total counts all unprocessed records, kept or not; oldest is the smallest timestamp
	// in seconds, zero if no record has one.
	total  int
	oldest float64

	limit int // of notifications kept in one lane
	kept  int
}

// head is the beginning of a partition, in order.
type head struct {
	records []record
	// more reports whether the queue holds further records of the partition.
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

// cut drops the records of a partition over the limit.
func (s *backlog) cut(p *head) {
	slices.SortFunc(p.records, record.compare)
	if len(p.records) <= s.limit {
		return
	}
	s.kept -= len(p.records) - s.limit
	clear(p.records[s.limit:])
	p.records, p.more = p.records[:s.limit], true
}
