package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

const (
	kills          = 20
	changesPerKill = 200
)

// TestKilled kills ddltail during changes, the first time within a second of its first
// start, and every other time again while it restarts. Each change must be reported once,
// in order.
func TestKilled(t *testing.T) {
	s := newScene(t, "killed_db")
	again := func() *ddltailtest.Process { return s.launch([]string{"run"}, "DDLTAIL_MONGODB_URI="+s.uri) }
	began := time.Now()
	p := s.start()
	window := time.Second - time.Since(began)
	var want []string
	for round := range kills {
		made := make(chan []string, 1)
		go func() { made <- change(s, round, changesPerKill) }()
		time.Sleep(upTo(window))
		s.must(p.Kill())
		if round == 0 {
			t.Logf("the first kill came %s after the first start", time.Since(began).Round(time.Millisecond))
		}
		p = again()
		if round%2 == 1 {
			time.Sleep(upTo(300 * time.Millisecond))
			s.must(p.Kill())
			p = again()
		}
		want = append(want, <-made...)
		window = 800 * time.Millisecond
	}
	check(s, "schema_notifications", want)
	check(s, "schema_history", want)
}

// upTo returns a random duration below the limit.
func upTo(limit time.Duration) time.Duration { return rand.N(max(limit, time.Millisecond)) }

// TestTwoAtOnce runs two detectors with the same name, which write the same documents.
func TestTwoAtOnce(t *testing.T) {
	s := newScene(t, "twice_db")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { s.start() })
	}
	wg.Wait()
	want := change(s, 0, 100)
	check(s, "schema_notifications", want)
	check(s, "schema_history", want)

	third := s.launch([]string{"run"}, "DDLTAIL_MONGODB_URI="+s.uri, "DDLTAIL_NAME=third")
	wantExit(t, third, 2, "DDLTAIL_NAME", "another DDLTAIL_DATABASE")
}

// change makes n changes of four kinds and returns the expected statements.
func change(s scene, round, n int) []string {
	want := make([]string, 0, n)
	for i := range n {
		name := fmt.Sprintf("c_%02d_%03d", round, i/4)
		coll := s.db.Collection(name)
		var err error
		switch i % 4 {
		case 0:
			err = s.db.CreateCollection(s.Context(), name)
			want = append(want, "CREATE COLLECTION "+name)
		case 1:
			_, err = coll.Indexes().CreateOne(s.Context(), mongo.IndexModel{
				Keys: bson.D{{Key: "a", Value: 1}}, Options: options.Index().SetName("a_idx"),
			})
			want = append(want, fmt.Sprintf("db.%s.createIndex({a: 1}, {name: 'a_idx'})", name))
		case 2:
			err = coll.Indexes().DropOne(s.Context(), "a_idx")
			want = append(want, fmt.Sprintf("db.getSiblingDB('%s').getCollection('%s').dropIndex('a_idx')", s.db.Name(), name))
		case 3:
			err = coll.Drop(s.Context())
			want = append(want, "DROP COLLECTION "+name)
		}
		if err != nil {
			s.Errorf("change %d of %s: %v", i, name, err)
			return want
		}
	}
	return want
}

// check compares the documents with the changes that were made, and counts the
// differences.
func check(s scene, collection string, want []string) {
	s.Helper()
	docs := s.documents(collection, len(want))
	got := statements(docs)
	counts := map[string]int{}
	for _, g := range got {
		counts[g]++
	}
	lost, doubled := 0, 0
	for _, w := range want {
		switch n := counts[w]; {
		case n == 0:
			lost++
		case n > 1:
			doubled++
		}
		delete(counts, w)
	}
	s.Logf("%s: %d changes, %d documents, lost %d, doubled %d, phantom %d, in order %t",
		collection, len(want), len(got), lost, doubled, len(counts), slices.Equal(got, want))
	if !slices.Equal(got, want) {
		s.Errorf("%s differs from the changes made", collection)
	}
}

// metric returns one sample of /metrics, by its name with labels.
func metric(s scene, p *ddltailtest.Process, name string) float64 {
	s.Helper()
	v, err := p.Metric(s.Context(), name)
	s.must(err)
	return v
}
