package listener

import (
	"context"
	"slices"
)

// surveyed is how many notifications a survey keeps, of however many there are.
const surveyed = 20_000

// survey is what is unprocessed at one moment: for each lane the first of what it
// holds. What does not fit is found by a later survey, when these are done.
type survey struct {
	queue string
	lanes map[lane]*page
	// total counts all, kept or not; oldest is the timestamp of the oldest of them
	// in seconds, zero if none has one.
	total  int
	oldest float64

	limit int // of notifications kept in one lane
	kept  int
}

// page is the beginning of a lane, in order.
type page struct {
	notices []notice
	// more says that the lane goes on behind it.
	more bool
}

// survey reads all that is unprocessed.
func (s store) survey(ctx context.Context, queue string) (*survey, error) {
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	found := &survey{queue: queue, lanes: map[lane]*page{}, limit: surveyed}
	if err := s.each(ctx, unprocessed(), found.add); err != nil {
		return nil, err
	}
	for _, p := range found.lanes {
		found.cut(p)
	}
	return found, nil
}

func (s *survey) add(n notice) {
	s.total++
	if n.timed && (s.oldest == 0 || n.seconds < s.oldest) {
		s.oldest = n.seconds
	}
	key := laneOf(n, s.queue)
	p := s.lanes[key]
	if p == nil {
		p = &page{}
		s.lanes[key] = p
	}
	p.notices = append(p.notices, n)
	s.kept++
	if len(p.notices) >= 2*s.limit {
		s.cut(p)
	}
	for s.kept > 2*surveyed && s.limit > 1 {
		s.limit /= 2
		for _, p := range s.lanes {
			s.cut(p)
		}
	}
}

// cut leaves of a lane what comes first.
func (s *survey) cut(p *page) {
	slices.SortFunc(p.notices, notice.compare)
	if len(p.notices) <= s.limit {
		return
	}
	s.kept -= len(p.notices) - s.limit
	clear(p.notices[s.limit:])
	p.notices, p.more = p.notices[:s.limit], true
}
