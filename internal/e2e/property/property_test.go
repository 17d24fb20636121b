// Package property makes random DDL on a real server and compares what the
// notifications say with what the server has.
package property

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/ddltailtest"
	"github.com/ddltail/ddltail/internal/e2e/ddlgen"
	"github.com/ddltail/ddltail/internal/mongotest"
)

// steps is how many operations are tried for one seed; the server refuses some.
const steps = 600

// TestRandomDDL runs fixed seeds and a fresh one, which a failure names.
func TestRandomDDL(t *testing.T) {
	binary, err := ddltailtest.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, seed := range []uint64{1, 2, 16796827849217986739, rand.Uint64()} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomDDL(t, binary, seed) })
	}
}

func randomDDL(t *testing.T, binary string, seed uint64) {
	set := mongotest.NewReplicaSet(t, mongotest.Options{})
	client := mongotest.Connect(t, set.URI())
	queue := fmt.Sprintf("queue_%d", seed)
	p, err := ddltailtest.Start(binary, []string{"run"}, "DDLTAIL_MONGODB_URI="+set.URI(), "DDLTAIL_DATABASE="+queue,
		"DDLTAIL_NAMESPACES=one.*,two.*")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	dbs := []string{"one", "two"}
	g := ddlgen.New(seed, client, dbs)
	for range steps {
		if err := g.Step(t.Context()); err != nil {
			t.Fatalf("the server does not survive seed %d: %v", seed, err)
		}
	}
	docs := notifications(t, client, queue)
	folded := schema{}
	for _, doc := range docs {
		folded.apply(t, doc)
	}
	have := ddlgen.Listed(t.Context(), t, client, dbs)
	t.Logf("seed %d: %d operations, %d refused, %d notifications, %d namespaces", seed, steps, g.Refused(), len(docs), len(have))
	ddlgen.Compare(t, "folded from the notifications", ddlgen.Schema(folded), have)
	replay(t, docs, dbs, have)
	if t.Failed() {
		t.Logf("ddltail:\n%s", p.Stderr())
	}
}

// notifications waits for one last change, and gives all before it.
func notifications(t *testing.T, client *mongo.Client, queue string) []bson.Raw {
	last := "two.the_last"
	if err := client.Database("two").CreateCollection(t.Context(), "the_last"); err != nil {
		t.Fatal(err)
	}
	coll := client.Database(queue).Collection("schema_notifications")
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if coll.FindOne(t.Context(), bson.D{{Key: "ns", Value: last}}).Err() == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the last change was not notified")
		}
	}
	cur, err := coll.Find(t.Context(), bson.D{{Key: "operation", Value: bson.D{{Key: "$exists", Value: true}}}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		t.Fatal(err)
	}
	var docs []bson.Raw
	if err := cur.All(t.Context(), &docs); err != nil {
		t.Fatal(err)
	}
	return docs
}

// replay runs every statement, in order, by the real mongosh on an empty server.
func replay(t *testing.T, docs []bson.Raw, dbs []string, want ddlgen.Schema) {
	empty := mongotest.NewReplicaSet(t, mongotest.Options{})
	var script strings.Builder
	for _, doc := range docs {
		text, ok := doc.Lookup("mongosh").StringValueOK()
		if op := doc.Lookup("operation").StringValue(); !ok && op != "ABORT_INDEX_BUILD" {
			t.Errorf("no statement: %s", doc)
		}
		script.WriteString(text + "\n")
	}
	home := t.TempDir()
	file := filepath.Join(home, "replay.js")
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	shell, err := mongotest.Mongosh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell, empty.URI(), "--quiet", "--norc", "--file", file)
	cmd.Env = append(os.Environ(), "HOME="+home)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("mongosh: %v\n%s", err, out)
	}
	ddlgen.Compare(t, "replayed", ddlgen.Listed(t.Context(), t, mongotest.Connect(t, empty.URI()), dbs), want)
}
