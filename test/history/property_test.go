package history

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/ddlgen"
	"github.com/ddltail/ddltail/test/mongotest"
)

const (
	// steps is the number of operations per seed.
	steps = 250
	// pairs is the number of pairs of times whose migration script is tested.
	pairs = 6
)

// recorded is the server's catalog at a time.
type recorded struct {
	at     time.Time
	schema ddlgen.Schema
}

// TestRandomPast runs random DDL, records the catalog after each step, and then queries
// each of those times.
func TestRandomPast(t *testing.T) {
	for _, seed := range []uint64{8376010359828971377, rand.Uint64()} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomPast(t, seed) })
	}
}

func randomPast(t *testing.T, seed uint64) {
	dbs := []string{"one", "two"}
	client := mongotest.Connect(t, set.URI())
	clear(t, client)
	at := []string{"DDLTAIL_MONGODB_URI=" + set.URI(), fmt.Sprintf("DDLTAIL_DATABASE=past_%d", seed)}
	start(t, at...)
	moments := record(t, client, seed, dbs)
	waitPublished(t, client, fmt.Sprintf("past_%d", seed))
	for i, m := range moments {
		got := asOf(t, m.at, at)
		ddlgen.Compare(t, fmt.Sprintf("seed %d, step %d, %s", seed, i, m.at.Format(time.RFC3339Nano)), got, m.schema)
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("seed %d: %d moments asked for", seed, len(moments))
	choose := rand.New(rand.NewPCG(seed, 1))
	empty := mongotest.NewReplicaSet(t, mongotest.Options{})
	again(t, empty, at, moments[choose.IntN(len(moments))])
	for range pairs {
		from, to := moments[choose.IntN(len(moments))], moments[choose.IntN(len(moments))]
		migrate(t, empty, at, dbs, from, to)
	}
}

// clear drops all user databases.
func clear(t *testing.T, client *mongo.Client) {
	t.Helper()
	dbs, err := client.ListDatabaseNames(t.Context(), bson.D{{Key: "name", Value: bson.D{{Key: "$nin", Value: bson.A{"admin", "config", "local"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, db := range dbs {
		if err := client.Database(db).Drop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func record(t *testing.T, client *mongo.Client, seed uint64, dbs []string) []recorded {
	g := ddlgen.New(seed, dbs...)
	var moments []recorded
	refused := 0
	for range steps {
		if op := g.Next(); op.Run(t.Context(), client) != nil {
			refused++
			if err := ddlgen.Alive(t.Context(), client); err != nil {
				t.Fatalf("the server does not survive seed %d, %s: %v", seed, op, err)
			}
		}
		// No change may be in the same millisecond as the recorded time.
		time.Sleep(2 * time.Millisecond)
		moments = append(moments, recorded{at: time.Now(), schema: ddlgen.Listed(t.Context(), t, client, dbs)})
		time.Sleep(2 * time.Millisecond)
	}
	t.Logf("seed %d: %d operations, %d refused", seed, steps, refused)
	return moments
}

// waitPublished makes a last change and waits until it is in the history.
func waitPublished(t *testing.T, client *mongo.Client, queue string) {
	t.Helper()
	if err := client.Database("two").CreateCollection(t.Context(), "the_last"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		// The catalog is written after the history.
		if client.Database(queue).Collection("schema_catalog").FindOne(t.Context(), bson.D{{Key: "ns", Value: "two.the_last"}}).Err() == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the last change was not reported")
		}
	}
}

// asOf reads `history --as-of` into the form of a listing.
func asOf(t *testing.T, at time.Time, variables []string) ddlgen.Schema {
	t.Helper()
	out := command{[]string{"history", "--as-of", at.Format(time.RFC3339Nano), "--format", "json"}, variables}.ok(t)
	s := ddlgen.Schema{}
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			t.Fatalf("not JSON: %s", line)
		}
		var doc struct {
			NS       string     `bson:"ns"`
			Database string     `bson:"database"`
			Options  bson.Raw   `bson:"options"`
			Indexes  []bson.Raw `bson:"indexes"`
		}
		if err := bson.UnmarshalExtJSON([]byte(line), false, &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Database != "one" && doc.Database != "two" {
			continue
		}
		d := &ddlgen.Definition{Options: ddlgen.Canonical(doc.Options), Indexes: map[string]string{}}
		for _, spec := range doc.Indexes {
			d.Indexes[spec.Lookup("name").StringValue()] = ddlgen.Canonical(spec)
		}
		s[doc.NS] = d
	}
	return s
}

// again runs on an empty server the statements of all changes up to a time.
func again(t *testing.T, empty *mongotest.ReplicaSet, variables []string, to recorded) {
	client := mongotest.Connect(t, empty.URI())
	clear(t, client)
	until := to.at.Format(time.RFC3339Nano)
	shell(t, empty.URI(), command{[]string{"history", "--until", until, "--format", "mongosh"}, variables}.ok(t))
	ddlgen.Compare(t, "made again up to "+until, ddlgen.Listed(t.Context(), t, client, []string{"one", "two"}), to.schema)
}

// migrate creates the schema of the first time on an empty server, and runs the script
// from there to the second.
func migrate(t *testing.T, empty *mongotest.ReplicaSet, variables, dbs []string, from, to recorded) {
	client := mongotest.Connect(t, empty.URI())
	clear(t, client)
	first, second := from.at.Format(time.RFC3339Nano), to.at.Format(time.RFC3339Nano)

	shell(t, empty.URI(), command{[]string{"history", "--as-of", first, "--format", "mongosh"}, variables}.ok(t))
	ddlgen.Compare(t, "made as of "+first, ddlgen.Listed(t.Context(), t, client, dbs), from.schema)

	script := command{[]string{"history", "diff", first, second, "--format", "mongosh", "--allow-destructive"}, variables}.ok(t)
	if strings.Contains(script, "needs MongoDB 6.0 or later") && major(t) < 6 {
		t.Logf("%s to %s: not for this server", first, second)
		return
	}
	shell(t, empty.URI(), script)
	ddlgen.Compare(t, "led from "+first+" to "+second, ddlgen.Listed(t.Context(), t, client, dbs), to.schema)
	if t.Failed() {
		t.Fatalf("the script:\n%s", script)
	}
	t.Logf("%s to %s: %d lines", first, second, strings.Count(script, "\n"))
}

func major(t *testing.T) int {
	t.Helper()
	n, err := mongotest.ServerMajor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}
