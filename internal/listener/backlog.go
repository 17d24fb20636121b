package listener

import (
	"slices"

	"github.com/ddltail/ddltail/internal/notification"
)

// maxBacklog bounds the records that one scan keeps in memory.
const maxBacklog = 20_000

// backlog is the result of a scan for one receiver: the first pending records of each
// partition. Records beyond the bound are read by a later scan.
type backlog struct {
	queue string
	heads map[sourcePartition]*head
	// total counts all pending records, kept or not; oldest is the smallest timestamp in
	// seconds, zero if no record has one.
	total  int
	oldest float64

	limit int // of records kept in one head
	kept  int
	// omitted is the first position of each partition that was not kept.
	omitted map[sourcePartition]notification.Position
}

// sourcePartition is a partition of one source; the source is empty for manual records.
type sourcePartition struct {
	source string
	partition
}

// head holds the first records of a partition. A record of several partitions is in the head
// of its first.
type head struct{ records []record }

func newBacklog(queue string) *backlog {
	return &backlog{
		queue: queue, limit: maxBacklog,
		heads: map[sourcePartition]*head{}, omitted: map[sourcePartition]notification.Position{},
	}
}

func (b *backlog) add(n record) {
	b.total++
	if n.timed && (b.oldest == 0 || n.seconds < b.oldest) {
		b.oldest = n.seconds
	}
	n.partitions = partitionsOf(n, b.queue)
	key := sourcePartition{n.position.Source, n.partitions[0]}
	h := b.heads[key]
	if h == nil {
		h = &head{}
		b.heads[key] = h
	}
	h.records = append(h.records, n)
	b.kept++
	if len(h.records) >= 2*b.limit {
		b.cut(h)
	}
	for b.kept > 2*maxBacklog && b.limit > 1 {
		b.limit /= 2
		b.cutAll()
	}
}

func (b *backlog) cutAll() {
	for _, h := range b.heads {
		b.cut(h)
	}
}

// cut drops the records of a head over the limit.
func (b *backlog) cut(h *head) {
	slices.SortFunc(h.records, record.compare)
	if len(h.records) <= b.limit {
		return
	}
	for _, n := range h.records[b.limit:] {
		b.omit(n)
	}
	b.kept -= len(h.records) - b.limit
	clear(h.records[b.limit:])
	h.records = h.records[:b.limit]
}

// block omits the records after one that can be delivered only after the next scan.
func (b *backlog) block(n record) {
	n.partitions = partitionsOf(n, b.queue)
	b.omit(n)
}

func (b *backlog) omit(n record) {
	for _, p := range n.partitions {
		key := sourcePartition{n.position.Source, p}
		if first, ok := b.omitted[key]; !ok || n.position.Compare(first) < 0 {
			b.omitted[key] = n.position
		}
	}
}

// nodes returns a node for each kept record, in order of position, and one for the first
// omitted record of each partition, which blocks all records after it.
func (b *backlog) nodes() []*node {
	b.cutAll()
	all := make([]*node, 0, b.kept+len(b.omitted))
	for _, h := range b.heads {
		for _, n := range h.records {
			all = append(all, &node{record: n})
		}
	}
	for key, first := range b.omitted {
		all = append(all, &node{
			record:  record{position: first, partitions: []partition{key.partition}},
			omitted: true,
		})
	}
	slices.SortFunc(all, func(x, y *node) int { return x.compare(y.record) })
	return all
}
