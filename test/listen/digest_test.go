package listen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
)

// TestDigest collects many changes in one message, and sends each of them alone where the
// message is rejected.
func TestDigest(t *testing.T) {
	t.Parallel()
	s := newScene(t, "digest_db")
	g := newTarget(t)
	s.listenTo(s.receiversFile("name: chat, digest: 2s, url: " + g.URL))
	s.numbered(0, 100)
	s.eventually("all are delivered", s.done)
	if n := len(g.got()); n > 10 {
		t.Errorf("%d messages", n)
	}
	if again := s.checkTaken("chat", g, func(int) bool { return true }, 100); again != 0 {
		t.Errorf("%d were sent twice", again)
	}
	g.setAnswer(func(m message) int {
		if slices.ContainsFunc(m.notifications, func(n notification) bool { return n.Number == 105 }) {
			return 413
		}
		return 200
	})
	s.numbered(100, 110)
	s.eventually("all have ended", s.done)
	if n := s.count(bson.M{"error": "chat: the backend answered 413 Request Entity Too Large", "_id": 105}); n != 1 || s.count(bson.M{"error": bson.M{"$exists": true}}) != 1 {
		t.Errorf("%d are marked as rejected", n)
	}
	s.checkTaken("chat", g, func(i int) bool { return i != 105 }, 110)
}

// TestDigestOfMany writes many changes in a minute: a handful of messages.
func TestDigestOfMany(t *testing.T) {
	t.Parallel()
	notifications, pause := 2000, time.Duration(0)
	if full() {
		notifications, pause = 20_000, 300*time.Millisecond
	}
	s := newScene(t, "many_db")
	g := newTarget(t)
	s.listenTo(s.receiversFile("name: chat, digest: 10s, rate: 1/s, url: " + g.URL))
	began := time.Now()
	for start := 0; start < notifications; start += 100 {
		var batch []bson.M
		for i := start; i < start+100; i++ {
			batch = append(batch, bson.M{
				"_id": i, "operation": "CREATE_COLLECTION", "database": s.db.Name(), "collection": fmt.Sprint("c", i), "number": i,
				"timestamp": seconds(time.Now()), "processed": false,
			})
		}
		_, err := s.queue.InsertMany(t.Context(), batch)
		s.must(err)
		time.Sleep(pause)
	}
	written := time.Since(began)
	s.patiently(s.done)
	if most := 3 + int(written/(10*time.Second)) + notifications/5000; len(g.got()) > most {
		t.Errorf("%d messages, want at most %d", len(g.got()), most)
	}
	if taken := g.taken(); len(taken) != notifications {
		t.Errorf("%d of %d were delivered", len(taken), notifications)
	}
	t.Logf("%d written in %s, %d messages, all processed after %s", notifications, written.Round(time.Second), len(g.got()), time.Since(began).Round(time.Second))
}

// TestDigestKilled kills listeners while they send digests. The notifications of a message
// are marked all or none, nothing is lost, and what has to be sent again is not sent in pieces.
func TestDigestKilled(t *testing.T) {
	t.Parallel()
	s := newScene(t, "digest_killed_db")
	g := newTarget(t)
	path := s.receiversFile("name: chat, digest: 500ms, url: " + g.URL)
	p := s.listenTo(path)
	kills := 3
	if full() {
		kills = 20
	}
	total, judged, unmarked := 0, 0, 0
	for range kills {
		sent := make(chan struct{}, 100)
		g.setAnswer(func(message) int {
			sent <- struct{}{}
			time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
			return 200
		})
		s.numbered(total, total+50)
		total += 50
		<-sent
		time.Sleep(time.Duration(rand.IntN(80)) * time.Millisecond)
		s.must(p.Kill())
		// A message that is answered after the kill counts, too.
		s.eventually("the last message is answered", func() bool { return g.active.Load() == 0 })
		messages := g.got()
		unmarked += s.checkMarked("chat", messages[judged:])
		judged = len(messages)
		p = s.listenTo(path)
	}
	g.setAnswer(nil)
	s.patiently(s.done)
	// Each kill can leave one message unmarked. Its notifications are sent again in the first
	// message after their claims; what is new can be in a message before and one after it.
	if most := kills*3 + 1; len(g.got()) > most {
		t.Errorf("%d messages, want at most %d", len(g.got()), most)
	}
	t.Logf("%d messages, %d not marked, %d notifications sent again", len(g.got()), unmarked, s.checkTaken("chat", g, func(int) bool { return true }, total))
}

// checkMarked checks that the notifications of each message are marked all or none, and
// returns the number of messages that are not marked.
func (s scene) checkMarked(receiver string, messages []message) (unmarked int) {
	s.Helper()
	marked := s.numbersTogether(bson.M{"deliveries." + receiver + ".state": "delivered"})
	for _, m := range messages {
		of := 0
		for _, n := range m.notifications {
			if marked[int(n.Number)] {
				of++
			}
		}
		if of == 0 {
			unmarked++
		} else if of != len(m.notifications) {
			s.Errorf("%d of the %d notifications of a message are marked", of, len(m.notifications))
		}
	}
	return unmarked
}

// numbersTogether returns the numbers of the matching notifications at one moment: a plain
// read can be half before a transaction and half after it.
func (s scene) numbersTogether(filter bson.M) map[int]bool {
	s.Helper()
	all := map[int]bool{}
	snapshot := options.Transaction().SetReadConcern(readconcern.Snapshot())
	s.must(s.db.Client().UseSession(s.Context(), func(ctx context.Context) error {
		_, err := mongo.SessionFromContext(ctx).WithTransaction(ctx, func(ctx context.Context) (any, error) {
			cursor, err := s.queue.Find(ctx, filter)
			if err != nil {
				return nil, err
			}
			var docs []struct {
				Number int `bson:"number"`
			}
			if err := cursor.All(ctx, &docs); err != nil {
				return nil, err
			}
			clear(all)
			for _, d := range docs {
				all[d.Number] = true
			}
			return nil, nil
		}, snapshot)
		return err
	}))
	return all
}
