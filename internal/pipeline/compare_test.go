package pipeline

import (
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

// TestConfirmed: a difference counts where two comparisons in a row find it.
func TestConfirmed(t *testing.T) {
	differ := func(collections ...string) (all []schema.Version) {
		for _, name := range collections {
			all = append(all, schema.Version{Namespace: schema.Namespace{Database: "d", Collection: name}})
		}
		return all
	}
	p := &Pipeline{}
	for i, c := range []struct {
		found []schema.Version
		want  bool
	}{
		{differ(), true},
		{differ("a"), false},
		{differ(), true},
		{differ("a"), false},
		{differ("a"), true},
		{differ("a", "b"), false},
		{differ("b"), true},
		{differ("c"), false},
	} {
		if got := p.confirmed(c.found); got != c.want {
			t.Errorf("comparison %d: confirmed is %t", i, got)
		}
	}
}

func TestFirstComparison(t *testing.T) {
	now := time.Unix(10_000, 0)
	earlier := oplog.Moment{OpTime: oplog.OpTime{TS: bson.Timestamp{T: 9_000}}, Wall: time.Unix(9_000, 0)}
	for _, c := range []struct {
		why       string
		reconcile config.Reconcile
		compared  oplog.Moment
		want      time.Time
	}{
		{"after a gap only", config.Reconcile{}, earlier, time.Time{}},
		{"at start", config.Reconcile{AtStart: true}, earlier, now},
		{"daily, never compared", config.Reconcile{Every: 24 * time.Hour}, oplog.Moment{}, now.Add(24 * time.Hour)},
		{"daily, compared by the run before", config.Reconcile{Every: 24 * time.Hour}, earlier, earlier.Wall.Add(24 * time.Hour)},
		{"overdue", config.Reconcile{Every: time.Minute}, earlier, earlier.Wall.Add(time.Minute)},
	} {
		t.Run(c.why, func(t *testing.T) {
			if got := firstComparison(c.reconcile, c.compared, now); !got.Equal(c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
