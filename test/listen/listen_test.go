// Package listen tests notify, listen, redeliver and cleanup: the binary with real
// servers, a real HTTP backend, and the users' tools mongosh, Python and Node.
//
// DDLTAIL_FAULTS=full runs the long form of the fault tests: 1,000 notifications, a
// backend that is unavailable for a minute.
package listen

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
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

var (
	set    *mongotest.ReplicaSet
	binary string
)

func TestMain(m *testing.M) { os.Exit(ddltailtest.WithBinary(&binary, func() int { return run(m) })) }

func run(m *testing.M) int {
	return mongotest.Main{Tests: m, Set: &set, Options: mongotest.Options{
		Members: 3, ElectionTimeout: 2 * time.Second, Args: []string{"--setParameter", "enableTestCommands=1"},
	}}.Run()
}

func full() bool { return os.Getenv("DDLTAIL_FAULTS") == "full" }

// scene is one test's database, for its changes and its notifications alike.
type scene struct {
	*testing.T
	uri     string
	db      *mongo.Database
	queue   *mongo.Collection
	backend *backend
}

// newScene creates a scene on the shared set.
func newScene(t *testing.T, name string) scene {
	t.Helper()
	return sceneAt(t, mongotest.Connect(t, set.URI()), set.URIOf("", "", name), name)
}

func sceneAt(t *testing.T, client *mongo.Client, uri, name string) scene {
	t.Helper()
	// As ddltail does: what a test has seen, the next command sees.
	// Up to 4.4 the default write concern is w: 1.
	majority := options.Database().SetReadConcern(readconcern.Majority()).SetWriteConcern(writeconcern.Majority())
	s := scene{T: t, uri: uri, db: client.Database(name, majority), backend: newBackend(t)}
	s.queue = s.db.Collection("schema_notifications")
	t.Cleanup(func() {
		if err := s.db.Drop(context.Background()); err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
	})
	return s
}

func (s scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// launch starts a command line of ddltail on the scene's database.
func (s scene) launch(args []string, variables ...string) *ddltailtest.Process {
	s.Helper()
	p, err := ddltailtest.Start(binary, args, append([]string{"DDLTAIL_MONGODB_URI=" + s.uri}, variables...)...)
	s.must(err)
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("ddltail %s:\n%s", strings.Join(args, " "), lastLines(p.Stderr()))
		}
		if err := p.Close(); err != nil {
			s.Error(err)
		}
	})
	return p
}

func lastLines(text string) string {
	const most = 4000
	return text[max(0, len(text)-most):]
}

// listen starts `ddltail listen` for the scene's backend, and waits until it is ready.
func (s scene) listen(variables ...string) *ddltailtest.Process {
	s.Helper()
	p := s.launch([]string{"listen"}, append([]string{"DDLTAIL_BACKEND_URL=" + s.backend.URL + "/hook"}, variables...)...)
	s.must(p.WaitReady(s.Context()))
	return p
}

// tail starts `ddltail run` for the scene's database only: other tests share the set.
func (s scene) tail() *ddltailtest.Process {
	s.Helper()
	p := s.launch([]string{"run"}, "DDLTAIL_NAMESPACES="+s.db.Name()+".*")
	s.must(p.WaitReady(s.Context()))
	return p
}

// ddltail runs a command line and returns its output.
func (s scene) ddltail(wantExit int, args ...string) (stdout, stderr string) {
	s.Helper()
	p := s.launch(args)
	code, err := p.Wait(s.Context())
	s.must(err)
	if code != wantExit {
		s.Errorf("ddltail %q: exit %d, want %d\n%s", args, code, wantExit, p.Stderr())
	}
	return p.Stdout(), p.Stderr()
}

func (s scene) eventually(what string, ok func() bool) {
	s.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("not within a minute: %s", what)
		}
	}
}

func (s scene) count(filter bson.M) int64 {
	s.Helper()
	n, err := s.queue.CountDocuments(s.Context(), filter)
	s.must(err)
	return n
}

// done reports whether no notification is unprocessed.
func (s scene) done() bool {
	return s.count(bson.M{"operation": bson.M{"$exists": true}, "processed": bson.M{"$ne": true}}) == 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// median of durations, in milliseconds, and the 95th percentile.
func median(all []time.Duration) (half, most float64) {
	sorted := slices.Sorted(slices.Values(all))
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return ms(sorted[len(sorted)/2]), ms(sorted[len(sorted)*95/100])
}
