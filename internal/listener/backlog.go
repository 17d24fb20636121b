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

	limit int // of records kept in one partition
	kept  int
}

// head is the beginning of a partition, in order.
type head struct {
	records []record
	// more reports whether the queue holds further records of the partition.
	more bool
}

func (b *backlog) add(n record) {
	b.total++
	if n.timed && (b.oldest == 0 || n.seconds < b.oldest) {
		b.oldest = n.seconds
	}
	key := partitionOf(n, b.queue)
	p := b.partitions[key]
	if p == nil {
		p = &head{}
		b.partitions[key] = p
	}
	p.records = append(p.records, n)
	b.kept++
	if len(p.records) >= 2*b.limit {
		b.cut(p)
	}
	for b.kept > 2*maxBacklog && b.limit > 1 {
		b.limit /= 2
		for _, p := range b.partitions {
			b.cut(p)
		}
	}
}

// cut drops the records of a partition over the limit.
func (b *backlog) cut(p *head) {
	slices.SortFunc(p.records, record.compare)
	if len(p.records) <= b.limit {
		return
	}
	b.kept -= len(p.records) - b.limit
	clear(p.records[b.limit:])
	p.records, p.more = p.records[:b.limit], true
}
