package listener

import (
	"slices"
	"time"
)

// board is what the listener knows of its lanes: which have something to hand over,
// which are at it, and which have to wait. It does nothing by itself, and is for one
// goroutine.
type board struct {
	lanes map[lane]*laneState
	// ready are the lanes whose turn comes, first come first served; waiting are
	// those with a pause before them. A lane that is busy is in neither.
	ready   []lane
	waiting map[lane]bool
	// mistakes are what a person has to mend, by the lane that came upon it.
	mistakes map[lane]string
}

func newBoard() *board {
	return &board{lanes: map[lane]*laneState{}, waiting: map[lane]bool{}, mistakes: map[lane]string{}}
}

type laneState struct {
	// notices are there unless the lane is busy.
	notices []notice
	// more says that the queue holds more of the lane than notices.
	more  bool
	busy  bool
	until time.Time
	// firm says that only time ends the pause, or another first notification.
	firm bool
}

// update takes over what a survey has found. A lane that somebody is at stays as it
// is, and is looked at again after that.
func (b *board) update(s *survey, now time.Time) {
	b.ready = b.ready[:0]
	clear(b.waiting)
	for key, state := range b.lanes {
		if s.lanes[key] == nil && !state.busy {
			b.forget(key)
		}
	}
	for key, p := range s.lanes {
		state := b.lanes[key]
		if state == nil {
			state = &laneState{}
			b.lanes[key] = state
		}
		if state.busy {
			state.more = state.more || p.more || !sameEnd(p.notices, state.notices)
			continue
		}
		state.replace(p, now)
		b.place(key, now)
	}
	slices.SortFunc(b.ready, func(x, y lane) int {
		return b.lanes[x].notices[0].compare(b.lanes[y].notices[0])
	})
}

// replace returns an idle lane a new page. A firm pause stands while the same
// notification is the first.
func (l *laneState) replace(p *page, now time.Time) {
	same := len(l.notices) > 0 && l.notices[0].id.Equal(p.notices[0].id)
	l.notices, l.more = p.notices, p.more
	if same && l.firm && l.until.After(now) {
		return
	}
	l.firm, l.until = false, now.Add(p.notices[0].wait())
}

func sameEnd(a, b []notice) bool {
	return len(a) > 0 && len(b) > 0 && a[len(a)-1].id.Equal(b[len(b)-1].id)
}

func (b *board) forget(key lane) {
	delete(b.lanes, key)
	delete(b.waiting, key)
	delete(b.mistakes, key)
}

// place puts an idle lane where it belongs.
func (b *board) place(key lane, now time.Time) {
	if b.lanes[key].until.After(now) {
		b.waiting[key] = true
		return
	}
	delete(b.waiting, key)
	b.ready = append(b.ready, key)
}

// wake puts those in the line whose pause is over.
func (b *board) wake(now time.Time) {
	for key := range b.waiting {
		b.place(key, now)
	}
}

// next returns the lane whose turn it is, with what it holds, and counts it as busy.
func (b *board) next() (lane, []notice, bool) {
	if len(b.ready) == 0 {
		return lane{}, nil, false
	}
	key := b.ready[0]
	b.ready = b.ready[1:]
	state := b.lanes[key]
	state.busy = true
	return key, state.notices, true
}

// ended takes over how a turn went, and says whether the queue has to be read again
// to know how the lane goes on.
func (b *board) ended(e turnEnd, now time.Time) (survey bool) {
	state := b.lanes[e.lane]
	state.busy = false
	state.notices = state.notices[e.done:]
	state.firm, state.until = e.pause.firm, now.Add(e.pause.length)
	delete(b.mistakes, e.lane)
	if e.pause.mistake != "" {
		b.mistakes[e.lane] = e.pause.mistake
	}
	survey = state.more && (len(state.notices) == 0 || e.pause.length > 0)
	if len(state.notices) == 0 {
		b.forget(e.lane)
	} else {
		b.place(e.lane, now)
	}
	return survey
}

// nextWake is when the first pause ends; zero if no lane has one.
func (b *board) nextWake() time.Time {
	var first time.Time
	for key := range b.waiting {
		if until := b.lanes[key].until; first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return first
}

// mistake is one of the things that a person has to mend, empty if there is none.
func (b *board) mistake() string {
	for _, what := range b.mistakes {
		return what
	}
	return ""
}
