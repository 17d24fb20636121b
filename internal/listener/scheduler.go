package listener

import (
	"slices"
	"time"
)

// board is what the listener knows of its lanes: which have something to hand over,
// which are at it, and which have to wait. It does nothing by itself, and is for one
// goroutine.
type scheduler struct {
	partitions map[partition]*partitionState
	// ready are the lanes whose turn comes, first come first served; waiting are
	// those with a pause before them. A lane that is busy is in neither.
	ready   []partition
	waiting map[partition]bool
	// mistakes are what a person has to mend, by the lane that came upon it.
	misconfigurations map[partition]string
}

func newScheduler() *scheduler {
	return &scheduler{partitions: map[partition]*partitionState{}, waiting: map[partition]bool{}, misconfigurations: map[partition]string{}}
}

type partitionState struct {
	// notices are there unless the lane is busy.
	records []record
	// more says that the queue holds more of the lane than notices.
	more  bool
	busy  bool
	until time.Time
	// firm says that only time ends the pause, or another first notification.
	fixed bool
}

// update takes over what a survey has found. A lane that somebody is at stays as it
// is, and is looked at again after that.
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

// replace returns an idle lane a new page. A firm pause stands while the same
// notification is the first.
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

// place puts an idle lane where it belongs.
func (b *scheduler) place(key partition, now time.Time) {
	if b.partitions[key].until.After(now) {
		b.waiting[key] = true
		return
	}
	delete(b.waiting, key)
	b.ready = append(b.ready, key)
}

// wake puts those in the line whose pause is over.
func (b *scheduler) wake(now time.Time) {
	for key := range b.waiting {
		b.place(key, now)
	}
}

// next returns the lane whose turn it is, with what it holds, and counts it as busy.
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

// ended takes over how a turn went, and says whether the queue has to be read again
// to know how the lane goes on.
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

// nextWake is when the first pause ends; zero if no lane has one.
func (b *scheduler) nextWake() time.Time {
	var first time.Time
	for key := range b.waiting {
		if until := b.partitions[key].until; first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return first
}

// mistake is one of the things that a person has to mend, empty if there is none.
func (b *scheduler) misconfiguration() string {
	for _, what := range b.misconfigurations {
		return what
	}
	return ""
}

// lane is what keeps its order: one collection. Lanes do not hold each other up.
type partition struct {
	database, collection string
}

// laneOf puts a notification that names no database with those of the queue's own,
// where the queue is next to what it tells of.
func partitionOf(n record, queue string) partition {
	database := n.database
	if database == "" && queue != anyDatabase {
		database = queue
	}
	return partition{database: database, collection: n.collection}
}
