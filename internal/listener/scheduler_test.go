package listener

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
)

var noon = time.Unix(1_800_000_000, 0)

// TestScheduler runs the cases of testdata/scheduler.txt.
func TestScheduler(t *testing.T) {
	text, err := os.ReadFile("testdata/scheduler.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range strings.Split(string(text), "\n== ")[1:] {
		name, script, _ := strings.Cut(c, "\n")
		t.Run(name, func(t *testing.T) {
			s := &schedulerScript{T: t, scheduler: newScheduler(), now: noon, limit: maxBacklog, keys: map[string]string{}}
			s.run(script)
		})
	}
}

// schedulerScript runs one case.
type schedulerScript struct {
	*testing.T
	scheduler *scheduler
	now       time.Time
	limit     int
	// keys maps the name of a record to its key, and the other way round.
	keys map[string]string
}

func (s *schedulerScript) run(script string) {
	lines := strings.Split(strings.TrimSpace(script), "\n")
	for i := 0; i < len(lines); i++ {
		words := strings.Fields(lines[i])
		if len(words) == 0 {
			continue
		}
		if words[0] != "scan" {
			s.step(words)
			continue
		}
		found := newBacklog("queue_db")
		found.limit = s.limit
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "  ") {
			i++
			found.add(s.record(strings.Fields(lines[i])))
		}
		s.scheduler.update(found, s.now)
	}
}

// step runs a line that is no scan.
func (s *schedulerScript) step(words []string) {
	line, rest := strings.Join(words, " "), strings.Join(words[1:], " ")
	got := rest
	switch words[0] {
	case "take":
		got = s.take()
	case "probe":
		n, _ := s.scheduler.probe()
		got = s.keys[n.key()]
	case "blocked":
		got = fmt.Sprint(len(s.scheduler.blocked))
	case "released":
		s.scheduler.release(s.now)
	case "next":
		got = "wake " + s.scheduler.nextWake().Sub(s.now).String()
	case "at":
		s.now = noon.Add(s.duration(words[1]))
		s.scheduler.wake(s.now)
	case "limit":
		s.limit = 1
	case "done":
		got = words[1]
		if s.scheduler.finished(result{key: s.keys[words[1]], done: true}, s.now) {
			got += " scan"
		}
	case "back":
		s.end(words[2], pause{length: s.duration(words[3]), fixed: len(words) == 5})
	case "misconfigured":
		s.end(words[1], pause{length: time.Minute, fixed: true, misconfigured: true})
	default:
		s.Fatalf("unknown step %q", line)
	}
	if got != rest {
		s.Errorf("%q: got %q", line, got)
	}
}

func (s *schedulerScript) end(name string, p pause) {
	if s.scheduler.finished(result{key: s.keys[name], pause: p}, s.now) {
		s.Errorf("%s: a backoff needs no scan", name)
	}
}

func (s *schedulerScript) duration(text string) time.Duration {
	s.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		s.Fatal(err)
	}
	return d
}

func (s *schedulerScript) take() string {
	var names []string
	for {
		n, ok := s.scheduler.next()
		if !ok {
			return strings.Join(names, " ")
		}
		names = append(names, s.keys[n.key()])
	}
}

func (s *schedulerScript) record(words []string) record {
	s.Helper()
	name, source := words[0], words[1]
	var second, increment uint32
	if _, err := fmt.Sscanf(words[2], "%d:%d", &second, &increment); err != nil {
		s.Fatal(err)
	}
	doc := bson.M{"_id": name, "operation": "MODIFY_COLLECTION", "timestamp": float64(second), "processed": false}
	if source != "hand" {
		doc["_id"] = notification.ID{Source: source, TS: bson.Timestamp{T: second, I: increment}}.String()
	}
	var names []string
	var wait time.Duration
	for _, word := range words[3:] {
		if length, ok := strings.CutPrefix(word, "wait="); ok {
			wait = s.duration(length)
		} else if word == "failing" {
			doc["attempts"] = 1
		} else {
			names = append(names, word)
		}
	}
	touch(doc, names)
	n := parseRecord(raw(s.T, doc))
	n.now, n.free = s.now, s.now.Add(wait)
	s.keys[name], s.keys[n.key()] = n.key(), name
	return n
}

// touch makes a document one of a change of these collections.
func touch(doc bson.M, names []string) {
	if names[0] == "gap" {
		doc["operation"] = "HISTORY_GAP"
		return
	}
	database, collection, _ := strings.Cut(names[0], ".")
	doc["database"] = database
	if collection == "*" {
		doc["operation"] = "DROP_DATABASE"
		return
	}
	doc["collection"] = collection
	if len(names) > 1 {
		doc["operation"], doc["to"] = "RENAME_COLLECTION", names[1]
	}
}

// TestSchedulerOrder delivers random backlogs with random failures, and compares each delivery
// with the definition: nothing unprocessed with an earlier position is left in a partition
// of it. Every record is delivered in the end, so that no two wait for each other. Some are
// written between two scans.
func TestSchedulerOrder(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		pending := map[string]record{}
		var unwritten []record
		for i := range 60 {
			n := randomRecord(t, r, i)
			if unwritten = append(unwritten, n); i < 30 {
				pending[n.key()] = n
			}
		}
		unwritten = unwritten[30:]
		b := newScheduler()
		now := noon
		for round := 0; len(pending)+len(unwritten) > 0; round++ {
			if round > 2000 {
				t.Fatalf("seed %d: %d records wait for ever", seed, len(pending))
			}
			found := newBacklog("queue_db")
			found.limit = 1 + r.IntN(20)
			for _, n := range pending {
				found.add(n)
			}
			b.update(found, now)
			for step := 0; step < 10; step++ {
				now = now.Add(time.Second)
				b.wake(now)
				if len(unwritten) > 0 && r.IntN(3) == 0 {
					n := unwritten[0]
					unwritten, pending[n.key()] = unwritten[1:], n
					written := newBacklog("queue_db")
					written.add(n)
					if b.extend(written, now) {
						break // a scan is urgent
					}
				}
				n, ok := b.next()
				if !ok {
					break
				}
				for _, other := range pending {
					if other.compare(n) < 0 && share(other, n) {
						t.Fatalf("seed %d: %v was handed out before %v", seed, n.id, other.id)
					}
				}
				if r.IntN(3) == 0 {
					b.finished(result{key: n.key(), pause: pause{length: time.Second, fixed: true}}, now)
					continue
				}
				delete(pending, n.key())
				b.finished(result{key: n.key(), done: true}, now)
			}
		}
	}
}

// share reports whether two records have a partition in common, by a definition that shares
// nothing with the graph.
func share(a, b record) bool {
	if a.position.Source != b.position.Source && !a.position.Manual() && !b.position.Manual() {
		return false
	}
	for _, p := range partitionsOf(a, "queue_db") {
		for _, q := range partitionsOf(b, "queue_db") {
			if p == q || (p.whole || q.whole) && p.database == q.database && p.gaps == q.gaps {
				return true
			}
		}
	}
	return false
}

func randomRecord(t *testing.T, r *rand.Rand, i int) record {
	t.Helper()
	name := func() string { return string(rune('d'+r.IntN(2))) + "." + string(rune('a'+r.IntN(4))) }
	doc := bson.M{"_id": fmt.Sprint(i), "operation": "MODIFY_COLLECTION", "timestamp": float64(r.IntN(20)), "processed": false}
	if r.IntN(5) > 0 {
		ts := bson.Timestamp{T: uint32(r.IntN(20)), I: uint32(i)}
		doc["_id"] = notification.ID{Source: fmt.Sprint("rs", r.IntN(2)), TS: ts}.String()
	}
	switch r.IntN(10) {
	case 0:
		touch(doc, []string{"gap"})
	case 1:
		touch(doc, []string{string(rune('d'+r.IntN(2))) + ".*"})
	case 2, 3:
		touch(doc, []string{name(), name()})
	default:
		touch(doc, []string{name()})
	}
	return parseRecord(raw(t, doc))
}

// TestBacklogBounded checks that a scan of any length keeps a bounded number of records,
// the first of each partition.
func TestBacklogBounded(t *testing.T) {
	for _, partitions := range []int{1, 7, 5000} {
		s := newBacklog("queue_db")
		const all = 100_000
		most := 0
		for i := range all {
			// Newest first, which is the hardest.
			n := record{operation: "X", collection: fmt.Sprint(i % partitions), seconds: float64(all - i), timed: true}
			n.position.Second = int64(all - i)
			s.add(n)
			most = max(most, s.kept)
		}
		if most > 2*maxBacklog || s.total != all || s.oldest != 1 || len(s.heads) != partitions {
			t.Errorf("%d partitions: kept up to %d of %d, oldest %v", partitions, most, s.total, s.oldest)
		}
		s.cutAll()
		for key, p := range s.heads {
			if first := p.records[0].seconds; first > float64(partitions) || len(s.omitted) != partitions {
				t.Fatalf("partition %s of %d begins with %v, %d partitions have omitted ones", key, partitions, first, len(s.omitted))
			}
		}
	}
}
