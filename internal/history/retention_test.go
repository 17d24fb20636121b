package history_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/test/mongotest"
)

var set *mongotest.ReplicaSet

func TestMain(m *testing.M) { os.Exit(mongotest.Main{Tests: m, Set: &set}.Run()) }

const (
	// span is how many seconds of history there are, ending now.
	span = 400
	// ttl ends in their midst.
	ttl = 200 * time.Second
)

// past is a random catalog: a few namespaces, made, changed and dropped.
type past struct {
	db    *mongo.Database
	begin time.Time
}

func newPast(t *testing.T, seed uint64) past {
	t.Helper()
	p := past{db: mongotest.Connect(t, set.URI()).Database(fmt.Sprintf("past_%d", seed)), begin: time.Now().Add(-span * time.Second)}
	choose := rand.New(rand.NewPCG(seed, seed))
	var versions, changes []any
	for second := range span {
		for i := range choose.IntN(3) {
			ns := fmt.Sprintf("db.c%d", choose.IntN(40))
			doc := p.version(second, i, ns)
			if choose.IntN(3) == 0 {
				doc = append(doc, bson.E{Key: "definition", Value: nil})
			} else {
				doc = append(doc, bson.E{Key: "kind", Value: "collection"}, bson.E{Key: "definition", Value: bson.D{
					{Key: "options", Value: bson.D{{Key: "size", Value: second}}}, {Key: "indexes", Value: bson.A{}}}})
			}
			versions = append(versions, doc)
		}
		changes = append(changes, bson.D{{Key: "_id", Value: fmt.Sprintf("rs0:%010d:0000000001:000000", p.at(second).Unix())},
			{Key: "operation", Value: "CREATE_COLLECTION"}, {Key: "ns", Value: "db.c"}, {Key: "source", Value: "oplog"},
			{Key: "timestamp", Value: float64(p.at(second).UnixMilli()) / 1000}, {Key: "wall", Value: p.at(second)}, optime(p.at(second), 1)})
	}
	p.insert(t, "schema_catalog", versions...)
	p.insert(t, "schema_history", changes...)
	return p
}

func (p past) at(second int) time.Time {
	return p.begin.Add(time.Duration(second) * time.Second).Truncate(time.Millisecond)
}

func optime(at time.Time, increment int) bson.E {
	return bson.E{Key: "optime", Value: bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(at.Unix()), I: uint32(increment)}}, {Key: "t", Value: int64(1)}}}
}

func (p past) version(second, i int, ns string) bson.D {
	return bson.D{{Key: "_id", Value: fmt.Sprintf("rs0:%010d:%010d:%s", p.at(second).Unix(), i+1, ns)}, {Key: "source", Value: "rs0"},
		{Key: "ns", Value: ns}, {Key: "database", Value: "db"}, {Key: "collection", Value: ns[3:]},
		optime(p.at(second), i+1), {Key: "wall", Value: p.at(second).Add(time.Duration(i) * time.Millisecond)}, {Key: "temp", Value: false}}
}

func (p past) insert(t *testing.T, collection string, docs ...any) {
	t.Helper()
	if _, err := p.db.Collection(collection).InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
}

func (p past) checkpoint(t *testing.T, name string, second int) {
	t.Helper()
	p.insert(t, "schema_checkpoints", bson.D{{Key: "_id", Value: "rs0:" + name}, {Key: "source", Value: "rs0"}, optime(p.at(second), 9)})
}

// answers are what --as-of says for every second from one on.
func (p past) answers(t *testing.T, from int) [][]string {
	t.Helper()
	reader := history.NewReader(p.db)
	var all [][]string
	for second := from; second < span; second++ {
		var one []string
		_, err := reader.EachAsOf(t.Context(), history.AsOf{Source: "rs0", At: p.at(second)}, func(s history.Standing) error {
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

func (p past) count(t *testing.T, collection string, filter bson.D) int64 {
	t.Helper()
	n, err := p.db.Collection(collection).CountDocuments(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRetentionKeepsPromises removes, and asks again for every moment it promises.
func TestRetentionKeepsPromises(t *testing.T) {
	for _, seed := range []uint64{1, rand.Uint64()} {
		p := newPast(t, seed)
		p.checkpoint(t, "default", span-1)
		horizon := span - int(ttl/time.Second) + 10
		before := p.answers(t, horizon)
		removed, err := history.NewReader(p.db).Prune(t.Context(), "rs0", ttl)
		if err != nil {
			t.Fatal(err)
		}
		for i, after := range p.answers(t, horizon) {
			if !slices.Equal(after, before[i]) {
				t.Fatalf("seed %d: at second %d\n%v\nwas\n%v", seed, horizon+i, after, before[i])
			}
		}
		old := bson.D{{Key: "wall", Value: bson.D{{Key: "$lt", Value: removed.Horizon}}}}
		if n := p.count(t, "schema_history", old); n != 0 || removed.Changes < 190 {
			t.Errorf("seed %d: %d old changes stay, %d went", seed, n, removed.Changes)
		}
		dropped := append(bson.D{{Key: "definition", Value: nil}}, old...)
		if n := p.count(t, "schema_catalog", dropped); n != 0 {
			t.Errorf("seed %d: %d drops stay that end nothing", seed, n)
		}
		if n := p.count(t, "schema_catalog", old); n > 40 || removed.Versions < 50 {
			t.Errorf("seed %d: %d old versions of 40 namespaces stay, %d went", seed, n, removed.Versions)
		}
		t.Logf("seed %d: %d changes and %d versions removed", seed, removed.Changes, removed.Versions)
		again, err := history.NewReader(p.db).Prune(t.Context(), "rs0", ttl)
		// The past has two versions a second at most, and the horizon has moved on meanwhile.
		if moved := again.Horizon.Sub(removed.Horizon); err != nil || again.Versions > 5+2*int(moved.Seconds()) {
			t.Errorf("again: %+v, %v, after %s", again, err, moved)
		}
	}
}

// TestRetentionWaitsForDetectors keeps what a detector that lags may yet need.
func TestRetentionWaitsForDetectors(t *testing.T) {
	p := newPast(t, 7)
	reader := history.NewReader(p.db)
	if removed, err := reader.Prune(t.Context(), "rs0", ttl); err != nil || removed != (history.Removed{}) {
		t.Fatalf("without a checkpoint: %+v, %v", removed, err)
	}
	p.checkpoint(t, "default", span-1)
	p.checkpoint(t, "lagging", 50)
	before := p.answers(t, 50)
	removed, err := reader.Prune(t.Context(), "rs0", ttl)
	if err != nil {
		t.Fatal(err)
	}
	if removed.Horizon.After(p.at(50)) || removed.Changes > 51 || removed.Changes < 45 {
		t.Errorf("%+v, the lagging position is %s", removed, p.at(50))
	}
	for i, after := range p.answers(t, 50) {
		if !slices.Equal(after, before[i]) {
			t.Fatalf("at second %d\n%v\nwas\n%v", 50+i, after, before[i])
		}
	}
}

// TestRetentionKeepsGaps keeps the documents of a gap as long as a version came of it.
func TestRetentionKeepsGaps(t *testing.T) {
	p := newPast(t, 9)
	p.checkpoint(t, "default", span-1)
	gap := func(second int) bson.D {
		end := bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(p.at(second).Unix()), I: 5}}, {Key: "wall", Value: p.at(second)}}
		return bson.D{{Key: "_id", Value: fmt.Sprintf("rs0:gap:%010d:0000000005", p.at(second).Unix())}, {Key: "operation", Value: "HISTORY_GAP"},
			{Key: "source", Value: "snapshot"}, {Key: "timestamp", Value: float64(p.at(second).UnixMilli()) / 1000}, {Key: "wall", Value: p.at(second)},
			{Key: "from", Value: end}, {Key: "to", Value: end}}
	}
	p.db.Collection("schema_catalog").Drop(t.Context())
	p.insert(t, "schema_history", gap(20), gap(30))
	p.insert(t, "schema_catalog", append(p.version(30, 0, "db.found"), bson.E{Key: "kind", Value: "collection"},
		bson.E{Key: "definition", Value: bson.D{{Key: "options", Value: bson.D{}}, {Key: "indexes", Value: bson.A{}}}}))
	if _, err := history.NewReader(p.db).Prune(t.Context(), "rs0", ttl); err != nil {
		t.Fatal(err)
	}
	if n := p.count(t, "schema_history", bson.D{{Key: "_id", Value: gap(20)[0].Value}}); n != 0 {
		t.Error("a gap stays that no answer touches")
	}
	if n := p.count(t, "schema_history", bson.D{{Key: "_id", Value: gap(30)[0].Value}}); n != 1 {
		t.Error("a gap went that an answer touches")
	}
}
