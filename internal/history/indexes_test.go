package history_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/test/mongotest"
	"github.com/ddltail/ddltail/test/past"
)

var set *mongotest.ReplicaSet

func TestMain(m *testing.M) { os.Exit(mongotest.Main{Tests: m, Set: &set}.Run()) }

// mostExamined is what the server examines at most: it tries several plans for about a
// hundred documents each before it settles for one.
const mostExamined = 110

// TestQueriesUseIndexes asks the server's profiler how it answered: by an index, without
// reading what was not selected, and for one namespace in its order.
func TestQueriesUseIndexes(t *testing.T) {
	p := past.New(t, mongotest.Connect(t, set.URI()), 21)
	for range 2 {
		// It is idempotent.
		if err := store.SetupHistory(t.Context(), p.DB, ownindex.Create); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.DB.RunCommand(t.Context(), bson.D{{Key: "profile", Value: 2}}).Err(); err != nil {
		t.Fatal(err)
	}
	dropIndex, err := notification.NewFilter(notification.Rules{Operations: []string{"DROP_INDEX"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]history.Query{
		"time":              {Since: p.At(past.Span - 10)},
		"newest":            {Limit: 5},
		"namespace":         {Namespaces: []string{"db.nothing"}, Since: p.At(100)},
		"operation":         {Filter: dropIndex, Since: p.At(100)},
		"both":              {Namespaces: []string{"db.nothing"}, Filter: dropIndex},
		"namespace, newest": {Namespaces: []string{"db.nothing"}, Limit: 5},
	} {
		began := time.Now()
		if _, err := history.NewReader(p.DB).Each(t.Context(), q, func(history.Change) error { return nil }); err != nil {
			t.Fatal(err)
		}
		cur, err := p.DB.Collection("system.profile").Find(t.Context(), bson.D{
			{Key: "op", Value: "query"}, {Key: "ns", Value: p.DB.Name() + ".schema_history"}, {Key: "ts", Value: bson.D{{Key: "$gte", Value: began.Truncate(time.Millisecond)}}}})
		if err != nil {
			t.Fatal(err)
		}
		var seen []struct {
			Plan     string `bson:"planSummary"`
			Sorted   bool   `bson:"hasSortStage"`
			Examined int    `bson:"docsExamined"`
		}
		if err := cur.All(t.Context(), &seen); err != nil || len(seen) == 0 {
			t.Fatalf("%s: the profiler has %v, %v", name, seen, err)
		}
		for _, s := range seen {
			sorted := s.Sorted && strings.Contains(s.Plan, "{ ns: ")
			if strings.Contains(s.Plan, "COLLSCAN") || sorted || s.Examined > mostExamined {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
}
