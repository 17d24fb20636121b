package listener

import (
	"slices"
	"time"
)

// scheduler tracks which partitions are ready, in progress or backing off. It does no I/O
// and is not safe for concurrent use.
type scheduler struct {
	partitions map[partition]*partitionState
	// ready holds the partitions to process, in order; waiting those backing off. A busy
	// partition is in neither.
	ready   []partition
	waiting map[partition]bool
	// misconfigurations holds what an operator has to fix, by partition.
	misconfigurations map[partition]string
}

func newScheduler() *scheduler {
	return &scheduler{partitions: map[partition]*partitionState{}, waiting: map[partition]bool{}, misconfigurations: map[partition]string{}}
}

type partitionState struct {
	// records is never empty, except while the partition is busy.
	records []record
	// more reports whether the queue holds further records of the partition.
	more  bool
	busy  bool
	until time.Time
	// fixed reports whether the backoff ends only by time or with another first record.
	fixed bool
}

// update applies the result of a scan. A busy partition is not changed; it is scanned
// again when its worker has ended.
func (b *scheduler) update(s *backlog, now time.Time) {
	b.ready = b.ready[:0]
	clear(b.waiting)
	for key, state := range b.partitions {
		if s.partitions[key] == nil && !state.busy {
			b.forget(key)
		}
	}
	for key, p := range s.partitions {
		state := b.partitions[key]
		if state == nil {
			state = &partitionState{}
			b.partitions[key] = state
		}
		if state.busy {
			state.more = state.more || p.more || !sameEnd(p.records, state.records)
			continue
		}
		state.replace(p, now)
		b.place(key, now)
	}
	slices.SortFunc(b.ready, func(x, y partition) int {
		return b.partitions[x].records[0].compare(b.partitions[y].records[0])
	})
}

// replace sets the records of an idle partition. A fixed backoff remains while the first
// record is the same.
func (l *partitionState) replace(p *head, now time.Time) {
	same := len(l.records) > 0 && l.records[0].id.Equal(p.records[0].id)
	l.records, l.more = p.records, p.more
	if same && l.fixed && l.until.After(now) {
		return
	}
	l.fixed, l.until = false, now.Add(p.records[0].wait())
}

func sameEnd(a, b []record) bool {
	return len(a) > 0 && len(b) > 0 && a[len(a)-1].id.Equal(b[len(b)-1].id)
}

func (b *scheduler) forget(key partition) {
	delete(b.partitions, key)
	delete(b.waiting, key)
	delete(b.misconfigurations, key)
}

// place adds an idle partition to ready or waiting.
func (b *scheduler) place(key partition, now time.Time) {
	if b.partitions[key].until.After(now) {
		b.waiting[key] = true
		return
	}
	delete(b.waiting, key)
	b.ready = append(b.ready, key)
}

// wake moves partitions whose backoff is over to ready.
func (b *scheduler) wake(now time.Time) {
	for key := range b.waiting {
		b.place(key, now)
	}
}

// next returns the first ready partition with its records, and marks it as busy.
func (b *scheduler) next() (partition, []record, bool) {
	if len(b.ready) == 0 {
		return partition{}, nil, false
	}
	key := b.ready[0]
	b.ready = b.ready[1:]
	state := b.partitions[key]
	state.busy = true
	return key, state.records, true
}

// finished applies the result of a worker, and reports whether another scan is needed to
// continue the partition.
func (b *scheduler) finished(e result, now time.Time) (backlog bool) {
	state := b.partitions[e.partition]
	state.busy = false
	state.records = state.records[e.done:]
	state.fixed, state.until = e.pause.fixed, now.Add(e.pause.length)
	delete(b.misconfigurations, e.partition)
	if e.pause.misconfiguration != "" {
		b.misconfigurations[e.partition] = e.pause.misconfiguration
	}
	backlog = state.more && (len(state.records) == 0 || e.pause.length > 0)
	if len(state.records) == 0 {
		b.forget(e.partition)
	} else {
		b.place(e.partition, now)
	}
	return backlog
}

// nextWake returns when the first backoff ends; zero if there is none.
func (b *scheduler) nextWake() time.Time {
	var first time.Time
	for key := range b.waiting {
		if until := b.partitions[key].until; first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return first
}

// misconfiguration returns one of the misconfigurations, empty if there is none.
func (b *scheduler) misconfiguration() string {
	for _, what := range b.misconfigurations {
		return what
	}
	return ""
}

// partition is the unit of ordering: one collection. Partitions are independent.
type partition struct {
	database, collection string
}

// partitionOf returns the partition of a record. If the record names no database, that is
// the database of the queue, unless the queue is in anyDatabase.
func partitionOf(n record, queue string) partition {
	database := n.database
	if database == "" && queue != anyDatabase {
		database = queue
	}
	return partition{database: database, collection: n.collection}
}
