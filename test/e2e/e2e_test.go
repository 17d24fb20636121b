// Package e2e tests the ddltail binary with real servers as a black box: documents, HTTP,
// output and exit codes.
package e2e

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

var (
	set    *mongotest.ReplicaSet
	binary string
)

func TestMain(m *testing.M) { os.Exit(ddltailtest.WithBinary(&binary, func() int { return run(m) })) }

func run(m *testing.M) int {
	return mongotest.Main{Tests: m, Set: &set, Options: mongotest.Options{Members: 3, ElectionTimeout: 2 * time.Second}}.Run()
}

// scene is one test's database on the shared set, for changes and notifications; it is
// dropped at the end.
type scene struct {
	*testing.T
	uri    string
	db     *mongo.Database
	client *mongo.Client
}

func newScene(t *testing.T, name string) scene {
	t.Parallel()
	s := scene{T: t, uri: set.URIOf("", "", name), client: mongotest.Connect(t, set.URI())}
	s.db = s.client.Database(name)
	t.Cleanup(func() {
		if err := s.db.Drop(context.Background()); err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
	})
	return s
}

// start runs `ddltail run` on the scene's database until the test ends.
func (s scene) start(variables ...string) *ddltailtest.Process {
	s.Helper()
	p := s.launch([]string{"run"}, append([]string{"DDLTAIL_MONGODB_URI=" + s.uri}, variables...)...)
	s.must(p.WaitReady(s.Context()))
	return p
}

func (s scene) launch(args []string, variables ...string) *ddltailtest.Process {
	s.Helper()
	return launch(s.T, args, variables...)
}

func launch(t *testing.T, args []string, variables ...string) *ddltailtest.Process {
	t.Helper()
	p, err := ddltailtest.Start(binary, args, variables...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ddltail %s:\n%s", strings.Join(args, " "), p.Stderr())
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (s scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// documents waits for at least n notifications about the scene's database in a
// collection, and returns all of them in the order of their _ids.
func (s scene) documents(collection string, n int) []bson.Raw {
	s.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		docs := s.find(collection)
		if len(docs) >= n {
			return docs
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s holds %d documents, want %d: %s", collection, len(docs), n, statements(docs))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s scene) find(collection string) []bson.Raw {
	s.Helper()
	return s.findOf(collection, s.db.Name())
}

func (s scene) findOf(collection, database string) []bson.Raw {
	s.Helper()
	cur, err := s.db.Collection(collection).Find(s.Context(),
		bson.D{{Key: "database", Value: database}}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	s.must(err)
	var docs []bson.Raw
	s.must(cur.All(s.Context(), &docs))
	return docs
}

func statements(docs []bson.Raw) []string {
	out := make([]string, len(docs))
	for i, d := range docs {
		out[i] = d.Lookup("operation_statement").StringValue()
	}
	return out
}

func wantStatements(t *testing.T, docs []bson.Raw, want ...string) {
	t.Helper()
	if got := statements(docs); !slices.Equal(got, want) {
		t.Errorf("got the statements\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (s scene) run(cmd bson.D) {
	s.Helper()
	s.must(s.db.RunCommand(s.Context(), cmd).Err())
}

// until waits for a condition with a long limit: a 4.4 builds few indexes at once.
func (s scene) until(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not in time: %s", what)
		}
	}
}
