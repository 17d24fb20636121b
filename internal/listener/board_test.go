package listener

import (
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

var noon = time.Unix(1_800_000_000, 0)

// in makes a notification of a lane; wait is how long nobody may take it.
func in(t *testing.T, collection string, at float64, wait time.Duration) notice {
	t.Helper()
	n := parseNotice(raw(t, bson.M{"_id": fmt.Sprint(collection, at), "operation": "X", "collection": collection, "timestamp": at}))
	n.now = noon
	n.free = noon.Add(wait)
	return n
}

func surveyOf(notices ...notice) *survey {
	s := &survey{lanes: map[lane]*page{}, limit: surveyed}
	for _, n := range notices {
		s.add(n)
	}
	for _, p := range s.lanes {
		s.cut(p)
	}
	return s
}

// take returns the collections whose turn it is, in that order.
func take(b *board) string {
	text := ""
	for {
		key, _, ok := b.next()
		if !ok {
			return text
		}
		text += key.collection
	}
}

func TestBoardOldestFirst(t *testing.T) {
	b := newBoard()
	b.update(surveyOf(in(t, "a", 3, 0), in(t, "b", 1, 0), in(t, "c", 2, 0), in(t, "d", 0, time.Second)), noon)
	if got := take(b); got != "bca" {
		t.Errorf("got %q", got)
	}
	if got := b.nextWake(); !got.Equal(noon.Add(time.Second)) {
		t.Errorf("next wake at %s", got)
	}
	b.wake(noon.Add(time.Second))
	if got := take(b); got != "d" {
		t.Errorf("after the pause %q", got)
	}
}

// TestBoardBusy sees that a lane is never in two hands, and that what comes
// meanwhile is asked for again.
func TestBoardBusy(t *testing.T) {
	b := newBoard()
	one, two := in(t, "a", 1, 0), in(t, "a", 2, 0)
	b.update(surveyOf(one), noon)
	take(b)
	b.update(surveyOf(one, two), noon)
	if got := take(b); got != "" {
		t.Errorf("a busy lane was given again: %q", got)
	}
	if !b.ended(turnEnd{lane: lane{"", "a"}, done: 1}, noon) {
		t.Error("what came meanwhile is not asked for")
	}
	b.update(surveyOf(two), noon)
	if got := take(b); got != "a" {
		t.Errorf("got %q", got)
	}
	if b.ended(turnEnd{lane: lane{"", "a"}, done: 1}, noon) || len(b.lanes) != 0 {
		t.Error("there is something left")
	}
}

// TestBoardPause sees what ends a pause: time, or another first notification; and
// where the queue itself shows the reason, that this has gone.
func TestBoardPause(t *testing.T) {
	first, second := in(t, "a", 1, 0), in(t, "a", 2, 0)
	for _, c := range []struct {
		name  string
		pause pause
		then  *survey
		at    time.Duration
		want  string
	}{
		{"firm, same first", pause{length: time.Minute, firm: true}, surveyOf(first, second), time.Second, ""},
		{"firm, time is up", pause{length: time.Minute, firm: true}, surveyOf(first, second), time.Minute, "a"},
		{"firm, another first", pause{length: time.Minute, firm: true}, surveyOf(second), time.Second, "a"},
		{"claimed, given back", pause{length: time.Minute}, surveyOf(first, second), time.Second, "a"},
		{"claimed still", pause{length: time.Minute}, surveyOf(in(t, "a", 1, time.Minute), second), time.Second, ""},
		{"gone", pause{length: time.Minute}, surveyOf(), time.Hour, ""},
	} {
		b := newBoard()
		b.update(surveyOf(first, second), noon)
		take(b)
		b.ended(turnEnd{lane: lane{"", "a"}, pause: c.pause}, noon)
		now := noon.Add(c.at)
		b.update(c.then, now)
		b.wake(now)
		if got := take(b); got != c.want {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
}

func TestBoardMistake(t *testing.T) {
	b := newBoard()
	first := in(t, "a", 1, 0)
	b.update(surveyOf(first), noon)
	take(b)
	b.ended(turnEnd{lane: lane{"", "a"}, pause: pause{length: time.Minute, firm: true, mistake: "404"}}, noon)
	b.update(surveyOf(first), noon.Add(time.Second))
	if got := b.mistake(); got != "404" {
		t.Errorf("mistake %q", got)
	}
	b.wake(noon.Add(time.Minute))
	take(b)
	b.ended(turnEnd{lane: lane{"", "a"}, done: 1}, noon)
	if got := b.mistake(); got != "" {
		t.Errorf("mistake %q after it was mended", got)
	}
}

// TestSurveyBounded sees that a survey of any length keeps a bounded number, and of
// each lane what comes first.
func TestSurveyBounded(t *testing.T) {
	for _, lanes := range []int{1, 7, 5000} {
		s := &survey{lanes: map[lane]*page{}, limit: surveyed}
		const all = 100_000
		most := 0
		for i := range all {
			// Newest first, which is the hardest.
			s.add(notice{id: bson.RawValue{}, collection: fmt.Sprint(i % lanes), seconds: float64(all - i), timed: true})
			most = max(most, s.kept)
		}
		if most > 2*surveyed || s.total != all || s.oldest != 1 || len(s.lanes) != lanes {
			t.Errorf("%d lanes: kept up to %d of %d, oldest %v", lanes, most, s.total, s.oldest)
		}
		for key, p := range s.lanes {
			s.cut(p)
			first := p.notices[0].seconds
			if first > float64(lanes) || !p.more {
				t.Fatalf("lane %s of %d begins with %v, more %v", key.collection, lanes, first, p.more)
			}
		}
	}
}
