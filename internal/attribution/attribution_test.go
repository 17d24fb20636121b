package attribution

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/actor"
	"github.com/ddltail/ddltail/internal/oplog"
)

func command(t *testing.T, ns string, o bson.D) oplog.Entry {
	t.Helper()
	raw, err := bson.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return oplog.Entry{Op: oplog.OpCommand, NS: ns, UUID: oplog.UUID{1}, Object: raw}
}

func TestSubject(t *testing.T) {
	build := bson.Binary{Subtype: 4, Data: []byte("0123456789abcdef")}
	cases := []struct {
		name string
		op   oplog.Entry
		want actor.Entry
	}{
		{"create", command(t, "shop.$cmd", bson.D{{Key: "create", Value: "system.buckets.x"}}), actor.Entry{Command: "create", NS: "shop.system.buckets.x"}},
		{"index", command(t, "shop.$cmd", bson.D{{Key: "createIndexes", Value: "x"}, {Key: "name", Value: "a_1"}}), actor.Entry{Command: "createIndexes", NS: "shop.x", Index: "a_1"}},
		{"build", command(t, "shop.$cmd", bson.D{{Key: "commitIndexBuild", Value: "x"}, {Key: "indexBuildUUID", Value: build}}), actor.Entry{Command: "commitIndexBuild", NS: "shop.x", Build: actor.UUID([]byte("0123456789abcdef"))}},
		{"an old driver's drop of an index", command(t, "shop.$cmd", bson.D{{Key: "deleteIndexes", Value: "x"}, {Key: "index", Value: "a_1"}}), actor.Entry{Command: "dropIndexes", NS: "shop.x", Index: "a_1"}},
		{"rename", command(t, "shop.$cmd", bson.D{{Key: "renameCollection", Value: "shop.x"}, {Key: "to", Value: "shop.y"}}), actor.Entry{Command: "renameCollection", NS: "shop.x", To: "shop.y"}},
		{"modification", command(t, "shop.$cmd", bson.D{{Key: "collMod", Value: "x"}, {Key: "a", Value: 1}}), actor.Entry{Command: "collMod", NS: "shop.x", Change: `{"collMod":"x","a":1}`}},
	}
	at := oplog.OpTime{TS: bson.Timestamp{T: 7, I: 1}, Term: 2}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var drops Drops
			got := drops.Subject(oplog.Unit{OpTime: at, Operations: []oplog.Entry{c.op}})
			c.want.TS, c.want.Term, c.want.Collection = at.TS, at.Term, actor.UUID{1}
			if len(got.Entries) != 1 || got.Entries[0] != c.want {
				t.Errorf("%+v, want %+v", got.Entries, c.want)
			}
		})
	}
}

// TestDrops: a dropDatabase joins by the last drop in its database, once.
func TestDrops(t *testing.T) {
	var drops Drops
	unit := func(i uint32, op oplog.Entry) actor.Entry {
		return drops.Subject(oplog.Unit{OpTime: oplog.OpTime{TS: bson.Timestamp{T: 7, I: i}}, Operations: []oplog.Entry{op}}).Entries[0]
	}
	drop := func(db string) oplog.Entry { return command(t, db+".$cmd", bson.D{{Key: "drop", Value: "x"}}) }
	end := func(db string) oplog.Entry { return command(t, db+".$cmd", bson.D{{Key: "dropDatabase", Value: 1}}) }
	unit(1, drop("a"))
	unit(2, drop("a"))
	unit(3, drop("b"))
	if got := unit(4, end("a")); got.LastDrop != (bson.Timestamp{T: 7, I: 2}) || got.NS != "a" {
		t.Errorf("%+v", got)
	}
	if got := unit(5, end("a")); !got.LastDrop.IsZero() {
		t.Errorf("of a database that has no collections: %+v", got)
	}
}

// TestFindDoesNotWait: without a source that can have a line, and for changes that leave none, nothing waits.
func TestFindDoesNotWait(t *testing.T) {
	a := New(Config{
		Wait: time.Minute, Fields: actor.Fields(), Log: zap.NewNop(),
		Metrics: Metrics{
			Actors: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "a"}, []string{"evidence", "exact"}),
			Wait:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "b"}), Missed: prometheus.NewCounter(prometheus.CounterOpts{Name: "c"}),
		},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	view := Subject{IDs: []string{"view"}, Entries: nil}
	if found := a.Find(ctx, []Subject{view}); len(found) != 0 || ctx.Err() != nil {
		t.Errorf("a view: %v, %v", found, ctx.Err())
	}
	// The worker has no source.
	w := &worker{Attributor: a, warnedAt: map[string]time.Time{}}
	go func() {
		<-a.arrived
		w.finish(w.open())
	}()
	drop := Subject{IDs: []string{"drop"}, Entries: []actor.Entry{{Command: "drop", NS: "a.b", TS: bson.Timestamp{T: 1}}}}
	if found := a.Find(ctx, []Subject{drop}); len(found) != 0 || ctx.Err() != nil {
		t.Errorf("without a source: %v, %v", found, ctx.Err())
	}
}

// TestWrittenWithoutHistory: a notification exists when its batch no longer waits, with the actor that was found until then.
func TestWrittenWithoutHistory(t *testing.T) {
	found := func(id string, late, reported bool) resolved {
		return resolved{search: &search{Subject: Subject{IDs: []string{id}}, late: late, reported: reported}}
	}
	w := &worker{Attributor: New(Config{}), found: []resolved{found("waits", false, false), found("in time", true, true), found("too late", true, false)}}
	got, err := w.written(t.Context(), nil)
	if want := map[string]bool{"in time": true, "too late": false}; err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// TestWaitingIsBounded: what waits longest is given up.
func TestWaitingIsBounded(t *testing.T) {
	a := New(Config{Metrics: Metrics{Actors: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "a"}, []string{"evidence", "exact"})}})
	var subjects []Subject
	for i := range maxWaiting + 5 {
		subjects = append(subjects, Subject{IDs: []string{fmt.Sprint(i)}, Entries: []actor.Entry{{Command: "drop"}}})
	}
	a.register(subjects, true)
	if len(a.waiting) != maxWaiting || a.waiting[0].IDs[0] != "5" {
		t.Errorf("%d wait, the oldest is %s", len(a.waiting), a.waiting[0].IDs[0])
	}
}

// TestUntilRead: the search for recent notifications outlasts a failover, and ends with its context.
func TestUntilRead(t *testing.T) {
	a := New(Config{Log: zap.NewNop()})
	attempts := 0
	a.untilRead(t.Context(), func(context.Context) error {
		if attempts++; attempts < 3 {
			return fmt.Errorf("attempt %d: no primary", attempts)
		}
		return nil
	})
	if attempts != 3 {
		t.Errorf("%d attempts, want 3", attempts)
	}
	ended, cancel := context.WithCancel(t.Context())
	a.untilRead(ended, func(context.Context) error {
		cancel()
		return ended.Err()
	})
}
