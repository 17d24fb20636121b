package listener

import (
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

var noon = time.Unix(1_800_000_000, 0)

// in returns a record of a partition; wait is how long it cannot be claimed.
func in(t *testing.T, collection string, at float64, wait time.Duration) record {
	t.Helper()
	n := parseRecord(raw(t, bson.M{"_id": fmt.Sprint(collection, at), "operation": "X", "collection": collection, "timestamp": at}))
	n.now = noon
	n.free = noon.Add(wait)
	return n
}

func backlogOf(records ...record) *backlog {
	s := &backlog{partitions: map[partition]*head{}, limit: maxBacklog}
	for _, n := range records {
		s.add(n)
	}
	for _, p := range s.partitions {
		s.cut(p)
	}
	return s
}

// take returns the ready collections, in order.
func take(b *scheduler) string {
	text := ""
	for {
		key, _, ok := b.next()
		if !ok {
			return text
		}
		text += key.collection
	}
}

func TestSchedulerOldestFirst(t *testing.T) {
	b := newScheduler()
	b.update(backlogOf(in(t, "a", 3, 0), in(t, "b", 1, 0), in(t, "c", 2, 0), in(t, "d", 0, time.Second)), noon)
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

// TestSchedulerBusy checks that a partition has one worker at a time, and that records
// added meanwhile cause another scan.
func TestSchedulerBusy(t *testing.T) {
	b := newScheduler()
	one, two := in(t, "a", 1, 0), in(t, "a", 2, 0)
	b.update(backlogOf(one), noon)
	take(b)
	b.update(backlogOf(one, two), noon)
	if got := take(b); got != "" {
		t.Errorf("a busy partition was returned again: %q", got)
	}
	if !b.finished(result{partition: partition{"", "a"}, done: 1}, noon) {
		t.Error("no scan for what was added meanwhile")
	}
	b.update(backlogOf(two), noon)
	if got := take(b); got != "a" {
		t.Errorf("got %q", got)
	}
	if b.finished(result{partition: partition{"", "a"}, done: 1}, noon) || len(b.partitions) != 0 {
		t.Error("there is something left")
	}
}

// TestSchedulerBackoff checks what ends a backoff: time, another first record, or, if the
// reason is stored in the queue, the end of that reason.
func TestSchedulerBackoff(t *testing.T) {
	first, second := in(t, "a", 1, 0), in(t, "a", 2, 0)
	for _, c := range []struct {
		name  string
		pause pause
		then  *backlog
		at    time.Duration
		want  string
	}{
		{"firm, same first", pause{length: time.Minute, fixed: true}, backlogOf(first, second), time.Second, ""},
		{"firm, time is up", pause{length: time.Minute, fixed: true}, backlogOf(first, second), time.Minute, "a"},
		{"firm, another first", pause{length: time.Minute, fixed: true}, backlogOf(second), time.Second, "a"},
		{"claimed, given back", pause{length: time.Minute}, backlogOf(first, second), time.Second, "a"},
		{"claimed still", pause{length: time.Minute}, backlogOf(in(t, "a", 1, time.Minute), second), time.Second, ""},
		{"gone", pause{length: time.Minute}, backlogOf(), time.Hour, ""},
	} {
		b := newScheduler()
		b.update(backlogOf(first, second), noon)
		take(b)
		b.finished(result{partition: partition{"", "a"}, pause: c.pause}, noon)
		now := noon.Add(c.at)
		b.update(c.then, now)
		b.wake(now)
		if got := take(b); got != c.want {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
}

func TestSchedulerMisconfiguration(t *testing.T) {
	b := newScheduler()
	first := in(t, "a", 1, 0)
	b.update(backlogOf(first), noon)
	take(b)
	b.finished(result{partition: partition{"", "a"}, pause: pause{length: time.Minute, fixed: true, misconfiguration: "404"}}, noon)
	b.update(backlogOf(first), noon.Add(time.Second))
	if got := b.misconfiguration(); got != "404" {
		t.Errorf("mistake %q", got)
	}
	b.wake(noon.Add(time.Minute))
	take(b)
	b.finished(result{partition: partition{"", "a"}, done: 1}, noon)
	if got := b.misconfiguration(); got != "" {
		t.Errorf("mistake %q after it was mended", got)
	}
}

// TestBacklogBounded checks that a scan of any length keeps a bounded number of records,
// the first of each partition.
func TestBacklogBounded(t *testing.T) {
	for _, partitions := range []int{1, 7, 5000} {
		s := &backlog{partitions: map[partition]*head{}, limit: maxBacklog}
		const all = 100_000
		most := 0
		for i := range all {
			// Newest first, which is the hardest.
			s.add(record{id: bson.RawValue{}, collection: fmt.Sprint(i % partitions), seconds: float64(all - i), timed: true})
			most = max(most, s.kept)
		}
		if most > 2*maxBacklog || s.total != all || s.oldest != 1 || len(s.partitions) != partitions {
			t.Errorf("%d partitions: kept up to %d of %d, oldest %v", partitions, most, s.total, s.oldest)
		}
		for key, p := range s.partitions {
			s.cut(p)
			first := p.records[0].seconds
			if first > float64(partitions) || !p.more {
				t.Fatalf("partition %s of %d begins with %v, more %v", key.collection, partitions, first, p.more)
			}
		}
	}
}
