package history_test

import (
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestQueriesUseIndexes asks the server's profiler how it answered: by an index that
// gives the order too, and without reading what was not asked for.
func TestQueriesUseIndexes(t *testing.T) {
	p := newPast(t, 21)
	for range 2 {
		// It is idempotent.
		if err := sink.HistorySetup(t.Context(), p.db); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.db.RunCommand(t.Context(), bson.D{{Key: "profile", Value: 2}}).Err(); err != nil {
		t.Fatal(err)
	}
	major, err := mongotest.ServerMajor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dropIndex, err := notification.NewFilter(notification.Rules{Operations: []string{"DROP_INDEX"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]history.Query{
		"time":              {Since: p.at(span - 10)},
		"newest":            {Limit: 5},
		"namespace":         {Namespaces: []string{"db.nothing"}, Since: p.at(100)},
		"operation":         {Filter: dropIndex, Since: p.at(100)},
		"both":              {Namespaces: []string{"db.nothing"}, Filter: dropIndex},
		"namespace, newest": {Namespaces: []string{"db.nothing"}, Limit: 5},
	} {
		began := time.Now()
		if _, err := history.NewReader(p.db).Each(t.Context(), q, func(history.Change) error { return nil }); err != nil {
			t.Fatal(err)
		}
		cur, err := p.db.Collection("system.profile").Find(t.Context(), bson.D{
			{Key: "op", Value: "query"}, {Key: "ns", Value: p.db.Name() + ".schema_history"}, {Key: "ts", Value: bson.D{{Key: "$gte", Value: began.Truncate(time.Millisecond)}}}})
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
			// 4.4 calls it sorting where it only merges the branches of an $or.
			if strings.Contains(s.Plan, "COLLSCAN") || s.Sorted && major > 4 || s.Examined > 12 {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
}
