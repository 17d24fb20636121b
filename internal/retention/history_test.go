package retention_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/retention"
	"github.com/ddltail/ddltail/test/mongotest"
	"github.com/ddltail/ddltail/test/past"
)

// ttl ends in the midst of the past.
const ttl = 200 * time.Second

// answers are what --as-of says for every second from one on.
func answers(t *testing.T, p past.Past, from int) [][]string {
	t.Helper()
	var all [][]string
	for second := from; second < past.Span; second++ {
		var one []string
		_, err := history.NewReader(p.DB).EachAsOf(t.Context(), history.AsOf{Source: "rs0", At: p.At(second)}, func(s history.Standing) error {
			one = append(one, s.Version.Namespace.String()+" "+s.Version.OpTime.String()+" "+s.Version.Definition.Options.String())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// TestRetentionKeepsPromises removes, and asks again for every moment it promises.
func TestRetentionKeepsPromises(t *testing.T) {
	for _, seed := range []uint64{1, rand.Uint64()} {
		p := past.New(t, mongotest.Connect(t, set.URI()), seed)
		p.Checkpoint(t, "default", past.Span-1)
		horizon := past.Span - int(ttl/time.Second) + 10
		before := answers(t, p, horizon)
		removed, err := retention.PruneHistory(t.Context(), p.DB, "rs0", ttl)
		if err != nil {
			t.Fatal(err)
		}
		for i, after := range answers(t, p, horizon) {
			if !slices.Equal(after, before[i]) {
				t.Fatalf("seed %d: at second %d\n%v\nwas\n%v", seed, horizon+i, after, before[i])
			}
		}
		old := bson.D{{Key: "wall", Value: bson.D{{Key: "$lt", Value: removed.Horizon}}}}
		if n := p.Count(t, "schema_history", old); n != 0 || removed.Changes < 190 {
			t.Errorf("seed %d: %d old changes stay, %d went", seed, n, removed.Changes)
		}
		dropped := append(bson.D{{Key: "definition", Value: nil}}, old...)
		if n := p.Count(t, "schema_catalog", dropped); n != 0 {
			t.Errorf("seed %d: %d drops stay that end nothing", seed, n)
		}
		if n := p.Count(t, "schema_catalog", old); n > 40 || removed.Versions < 50 {
			t.Errorf("seed %d: %d old versions of 40 namespaces stay, %d went", seed, n, removed.Versions)
		}
		t.Logf("seed %d: %d changes and %d versions removed", seed, removed.Changes, removed.Versions)
		again, err := retention.PruneHistory(t.Context(), p.DB, "rs0", ttl)
		// The past has two versions a second at most, and the horizon has moved on meanwhile.
		if moved := again.Horizon.Sub(removed.Horizon); err != nil || again.Versions > 5+2*int(moved.Seconds()) {
			t.Errorf("again: %+v, %v, after %s", again, err, moved)
		}
	}
}

// TestRetentionWaitsForDetectors keeps what a detector that lags may yet need.
func TestRetentionWaitsForDetectors(t *testing.T) {
	p := past.New(t, mongotest.Connect(t, set.URI()), 7)
	if removed, err := retention.PruneHistory(t.Context(), p.DB, "rs0", ttl); err != nil || removed != (retention.Removed{}) {
		t.Fatalf("without a checkpoint: %+v, %v", removed, err)
	}
	p.Checkpoint(t, "default", past.Span-1)
	p.Checkpoint(t, "lagging", 50)
	before := answers(t, p, 50)
	removed, err := retention.PruneHistory(t.Context(), p.DB, "rs0", ttl)
	if err != nil {
		t.Fatal(err)
	}
	if removed.Horizon.After(p.At(50)) || removed.Changes > 51 || removed.Changes < 45 {
		t.Errorf("%+v, the lagging position is %s", removed, p.At(50))
	}
	for i, after := range answers(t, p, 50) {
		if !slices.Equal(after, before[i]) {
			t.Fatalf("at second %d\n%v\nwas\n%v", 50+i, after, before[i])
		}
	}
}

// TestRetentionKeepsGaps keeps the documents of a gap as long as a version came of it.
func TestRetentionKeepsGaps(t *testing.T) {
	p := past.New(t, mongotest.Connect(t, set.URI()), 9)
	p.Checkpoint(t, "default", past.Span-1)
	gap := func(second int) bson.D {
		end := bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(p.At(second).Unix()), I: 5}}, {Key: "wall", Value: p.At(second)}}
		return bson.D{{Key: "_id", Value: fmt.Sprintf("rs0:gap:%010d:0000000005", p.At(second).Unix())}, {Key: "operation", Value: "HISTORY_GAP"},
			{Key: "source", Value: "snapshot"}, {Key: "timestamp", Value: float64(p.At(second).UnixMilli()) / 1000}, {Key: "wall", Value: p.At(second)},
			{Key: "from", Value: end}, {Key: "to", Value: end}}
	}
	p.DB.Collection("schema_catalog").Drop(t.Context())
	p.Insert(t, "schema_history", gap(20), gap(30))
	p.Insert(t, "schema_catalog", append(p.Version(30, 0, "db.found"), bson.E{Key: "kind", Value: "collection"},
		bson.E{Key: "definition", Value: bson.D{{Key: "options", Value: bson.D{}}, {Key: "indexes", Value: bson.A{}}}}))
	if _, err := retention.PruneHistory(t.Context(), p.DB, "rs0", ttl); err != nil {
		t.Fatal(err)
	}
	if n := p.Count(t, "schema_history", bson.D{{Key: "_id", Value: gap(20)[0].Value}}); n != 0 {
		t.Error("a gap stays that no answer touches")
	}
	if n := p.Count(t, "schema_history", bson.D{{Key: "_id", Value: gap(30)[0].Value}}); n != 1 {
		t.Error("a gap went that an answer touches")
	}
}
