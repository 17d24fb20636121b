package listener

import (
	"container/heap"
	"maps"
	"slices"
	"time"

	"github.com/ddltail/ddltail/internal/notification"
)

// scheduler tracks which records are ready, in progress or backing off, and which wait for
// others. It does no I/O and is not safe for concurrent use.
type scheduler struct {
	nodes map[string]*node
	// last holds the last position of each source; manual records have no source.
	last map[string]notification.Position
	// ready holds the records to deliver in order of position, waiting those that are backing
	// off. A record that is busy or waits for another is in neither.
	ready   readyQueue
	waiting map[*node]bool
	// misconfigured holds the records whose response indicates a misconfiguration.
	misconfigured map[*node]bool
	// partial is set if nodes lacks pending records, or holds records that may have ended, until
	// the next scan.
	partial bool
	// blocked holds the partitions with a notification that was failing, or waiting for a
	// failing one, at the last scan.
	blocked map[sourcePartition]bool
}

func newScheduler() *scheduler {
	return &scheduler{nodes: map[string]*node{}, waiting: map[*node]bool{}, misconfigured: map[*node]bool{}}
}

// maxExtended is the maximum number of records of a scheduler that extend adds to.
const maxExtended = 1000

// update applies the result of a scan. The state of a record that is busy, or in a fixed
// backoff, is kept.
func (b *scheduler) update(s *backlog, now time.Time) {
	found := s.nodes()
	for _, n := range found {
		n.resume(b.nodes[n.key()], now)
	}
	b.partial = len(s.omitted) > 0
	b.link(found, now)
	b.blocked = blockedOf(found)
}

// extend adds records that were inserted after the last scan. It does not if it lacks records
// of that scan, or has too many: then the next scan adds them. It reports whether that scan is
// urgent, because known records have to wait for one that was not added.
func (b *scheduler) extend(s *backlog, now time.Time) (urgent bool) {
	added := s.nodes()
	if len(added) == 0 {
		return false
	}
	if b.partial = b.partial || len(s.omitted) > 0 || len(b.nodes)+len(added) > maxExtended; b.partial {
		return slices.ContainsFunc(added, b.precedes)
	}
	all := slices.Collect(maps.Values(b.nodes))
	for _, n := range added {
		if b.nodes[n.key()] == nil {
			n.resume(nil, now)
			all = append(all, n)
		}
	}
	slices.SortFunc(all, func(x, y *node) int { return x.compare(y.record) })
	b.link(all, now)
	return false
}

// precedes reports whether a known record may have to wait for n.
func (b *scheduler) precedes(n *node) bool {
	for source, last := range b.last {
		related := source == n.position.Source || source == "" || n.position.Source == ""
		if related && n.position.Compare(last) < 0 {
			return true
		}
	}
	return false
}

// link replaces the records, which are in order of position, and links them.
func (b *scheduler) link(all []*node, now time.Time) {
	b.nodes, b.last = map[string]*node{}, map[string]notification.Position{}
	b.ready = b.ready[:0]
	clear(b.waiting)
	clear(b.misconfigured)
	order := newGraph()
	for _, n := range all {
		n.after, n.blockers, n.ready = nil, 0, false
		order.add(n)
		if n.omitted {
			continue
		}
		b.nodes[n.key()], b.last[n.position.Source] = n, n.position
		b.note(n)
	}
	for _, n := range all {
		b.place(n, now)
	}
}

// resume copies the state that the same record had before the scan.
func (n *node) resume(before *node, now time.Time) {
	n.until = now.Add(n.wait())
	if before == nil {
		return
	}
	n.busy, n.misconfigured = before.busy, before.misconfigured
	// The end of a misconfiguration's backoff remains known, since probe compares it.
	if before.fixed && (before.until.After(now) || before.misconfigured && n.wait() == 0) {
		n.fixed, n.until = true, before.until
	}
}

// addBlocked adds the blocked partitions to a set.
func (b *scheduler) addBlocked(all map[sourcePartition]bool) { maps.Copy(all, b.blocked) }

// blockedOf returns the blocked partitions. The nodes are in order of position.
func blockedOf(nodes []*node) map[sourcePartition]bool {
	held := map[*node]bool{}
	partitions := map[sourcePartition]bool{}
	for _, n := range nodes {
		if !held[n] && !n.failing() {
			continue
		}
		for _, later := range n.after {
			held[later] = true
		}
		for _, p := range n.partitions {
			partitions[sourcePartition{n.position.Source, p}] = true
		}
	}
	return partitions
}

// place adds a record that is neither busy nor blocked to ready or waiting. It reports
// whether the node represents omitted records, which only a scan can read.
func (b *scheduler) place(n *node, now time.Time) (omitted bool) {
	if n.busy || n.ready || n.blockers > 0 {
		return false
	}
	if n.omitted {
		return true
	}
	if n.until.After(now) {
		b.waiting[n] = true
		return false
	}
	delete(b.waiting, n)
	n.ready = true
	heap.Push(&b.ready, n)
	return false
}

// wake moves records whose backoff is over to ready.
func (b *scheduler) wake(now time.Time) {
	for n := range b.waiting {
		b.place(n, now)
	}
}

// next returns the first ready record, and marks it as busy.
func (b *scheduler) next() (record, bool) { return b.take(0) }

// probe returns the ready record to attempt during a misconfiguration, and marks it as busy: the
// first that was not attempted, else the one whose attempt is the oldest. A few records that
// the receiver never accepts must not use up every attempt.
func (b *scheduler) probe() (record, bool) {
	best := 0
	for i, n := range b.ready {
		if n.before(b.ready[best]) {
			best = i
		}
	}
	return b.take(best)
}

// before reports whether a record is attempted before another during a misconfiguration.
func (n *node) before(other *node) bool {
	switch {
	case n.misconfigured != other.misconfigured:
		return other.misconfigured
	case n.misconfigured && !n.until.Equal(other.until):
		return n.until.Before(other.until)
	}
	return n.compare(other.record) < 0
}

// take removes a record from ready, and marks it as busy.
func (b *scheduler) take(i int) (record, bool) {
	if len(b.ready) == 0 {
		return record{}, false
	}
	n, _ := heap.Remove(&b.ready, i).(*node)
	n.ready, n.busy = false, true
	return n.record, true
}

// release ends the backoff of all records that indicate a misconfiguration.
func (b *scheduler) release(now time.Time) {
	for n := range b.misconfigured {
		if n.busy {
			continue
		}
		delete(b.misconfigured, n)
		n.misconfigured, n.fixed, n.until = false, false, now
		b.place(n, now)
	}
}

// batch returns up to limit records that can be delivered as one message, in order of
// position: ready records, and records that wait only for others of the batch. They are busy
// until returned is called.
func (b *scheduler) batch(limit int, now time.Time) []record {
	var all []record
	for len(all) < limit {
		n, ok := b.next()
		if !ok {
			break
		}
		all = append(all, n)
		for _, later := range b.nodes[n.key()].after {
			later.blockers--
			b.place(later, now)
		}
	}
	slices.SortFunc(all, record.compare)
	return all
}

// refusedBackoff is the wait before the server is asked again to update a record that it refused. A refusal counts for refusalLength.
const refusedBackoff = refusalLength / 3

// returned ends a batch. The next scan reads the state of its records.
func (b *scheduler) returned(e result, now time.Time) {
	b.partial = true
	for _, key := range e.digest {
		n := b.nodes[key]
		if n == nil {
			continue
		}
		n.busy, n.misconfigured = false, e.misconfigured
		n.fixed, n.until = e.fixed, now.Add(e.length)
		if slices.Contains(e.refused, key) {
			n.fixed, n.until = true, now.Add(refusedBackoff)
		}
	}
}

// finished applies the result of a worker, and reports whether another scan is needed to
// continue a partition. A result of a record that the last scan did not find is ignored: it
// was processed before the scan.
func (b *scheduler) finished(e result, now time.Time) (scan bool) {
	n := b.nodes[e.key]
	if n == nil {
		return false
	}
	n.busy, n.misconfigured = false, e.misconfigured
	b.note(n)
	if !e.done {
		n.fixed, n.until = e.fixed, now.Add(e.length)
		b.place(n, now)
		return false
	}
	delete(b.nodes, e.key)
	for _, later := range n.after {
		later.blockers--
		scan = b.place(later, now) || scan
	}
	return scan
}

// nextWake returns when the first backoff ends; zero if there is none.
func (b *scheduler) nextWake() time.Time {
	var first time.Time
	for n := range b.waiting {
		if first.IsZero() || n.until.Before(first) {
			first = n.until
		}
	}
	return first
}

// lastWake returns when the last backoff ends that ends until a time; zero if there is none.
func (b *scheduler) lastWake(until time.Time) time.Time {
	var last time.Time
	for n := range b.waiting {
		if n.until.After(last) && !n.until.After(until) {
			last = n.until
		}
	}
	return last
}

func (b *scheduler) note(n *node) {
	if n.misconfigured {
		b.misconfigured[n] = true
		return
	}
	delete(b.misconfigured, n)
}

// readyQueue is a heap of nodes by position.
type readyQueue []*node

func (q readyQueue) Len() int           { return len(q) }
func (q readyQueue) Less(i, j int) bool { return q[i].compare(q[j].record) < 0 }
func (q readyQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push adds a node. It is called by package heap.
func (q *readyQueue) Push(x any) {
	if n, ok := x.(*node); ok {
		*q = append(*q, n)
	}
}

// Pop removes the last node. It is called by package heap.
func (q *readyQueue) Pop() any {
	old := *q
	n := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return n
}
