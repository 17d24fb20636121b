package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/faults/load"
	"github.com/ddltail/ddltail/test/mongotest"
)

const (
	// patience bounds a single operation.
	patience = 90 * time.Second
	source   = "rs0"
	// database holds ddltail's own collections.
	database = "ddltail"
	// loadDatabase is the prefix of the names of the load's databases.
	loadDatabase = "load"
)

// scene is one scenario: a set, the load on it, the running ddltails and the record.
type scene struct {
	*testing.T
	set    *mongotest.ReplicaSet
	client *mongo.Client
	// sink is a client of the deployment with queue and history.
	sink *mongo.Client
	load *load.Load
	from bson.Timestamp
	record
	// running are the ddltails that have not been killed; lastLogs are the ends of the logs of the
	// killed ones.
	running   []*ddltailtest.Process
	lastLogs  []string
	variables []string
}

// newScene creates a scene on a borrowed set. The variables apply to every ddltail of the
// scene.
func newScene(t *testing.T, variables ...string) *scene {
	t.Parallel()
	return newSceneOn(t, borrow(t), variables...)
}

func newSceneOn(t *testing.T, set *mongotest.ReplicaSet, variables ...string) *scene {
	client := must[*mongo.Client](t)(connect(set.URI()))
	s := &scene{T: t, set: set, client: client, sink: client, record: newRecord(t, client)}
	s.variables = append([]string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=" + database}, variables...)
	t.Cleanup(s.close)
	return s
}

// connect returns a client with read concern majority and read preference primary.
func connect(uri string) (*mongo.Client, error) {
	return mongo.Connect(options.Client().ApplyURI(uri).
		SetReadConcern(readconcern.Majority()).SetWriteConcern(writeconcern.Majority()).SetReadPreference(readpref.Primary()))
}

func notOfTheServer() bson.D {
	return bson.D{{Key: "name", Value: bson.D{{Key: "$nin", Value: bson.A{"admin", "config", "local"}}}}}
}

func (s *scene) close() {
	s.keep()
	if s.Failed() {
		for _, text := range s.lastLogs {
			s.Logf("a killed ddltail logged last:\n%s", text)
		}
	}
	for _, p := range s.running {
		s.transitions(p)
		if s.Failed() {
			s.Logf("a ddltail logged last:\n%s", last(p.Stderr()))
		}
		if err := p.Close(); err != nil {
			s.Error(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.load != nil {
		_ = s.load.Stop(ctx)
	}
	_ = s.client.Disconnect(ctx)
}

// last returns the end of a log.
func last(text string) string { return text[max(0, len(text)-4000):] }

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// begin starts a ddltail and, when it is ready, the load.
func (s *scene) begin() *ddltailtest.Process {
	s.Helper()
	p := s.run()
	s.ready(p)
	s.startLoad()
	return p
}

func (s *scene) startLoad() {
	s.Helper()
	s.from = s.mark("the_beginning")
	var err error
	s.load, err = load.Start(s.set.URI(), &s.ledger, loadDatabase)
	s.must(err)
}

// run starts a ddltail without waiting until it is ready.
func (s *scene) run(variables ...string) *ddltailtest.Process {
	s.Helper()
	return s.runRelease(binary, variables...)
}

// runRelease starts a ddltail of another release.
func (s *scene) runRelease(binary string, variables ...string) *ddltailtest.Process {
	s.Helper()
	p, err := ddltailtest.Start(binary, []string{"run"}, append(s.variables[:len(s.variables):len(s.variables)], variables...)...)
	s.must(err)
	s.running = append(s.running, p)
	return p
}

func (s *scene) ready(p *ddltailtest.Process) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	s.must(p.WaitReady(ctx))
}

// kill kills a ddltail (SIGKILL).
func (s *scene) kill(p *ddltailtest.Process) {
	s.Helper()
	s.must(p.Kill())
	s.transitions(p)
	s.lastLogs = append(s.lastLogs, last(p.Stderr()))
	s.lastLogs = s.lastLogs[max(0, len(s.lastLogs)-3):]
	s.forget(p)
	s.must(p.Close())
}

// transitions fails if a ddltail has made a transition that is not in recovery.Transitions.
func (s *scene) transitions(p *ddltailtest.Process) {
	s.Helper()
	if text := p.Stderr(); strings.Contains(text, "unexpected state transition") {
		s.Errorf("an unexpected state transition:\n%s", last(text))
	}
}

func (s *scene) forget(p *ddltailtest.Process) {
	for i, other := range s.running {
		if other == p {
			s.running = append(s.running[:i:i], s.running[i+1:]...)
			return
		}
	}
}

// stop stops a ddltail by SIGTERM.
func (s *scene) stop(p *ddltailtest.Process) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	code, err := p.Stop(ctx)
	s.must(err)
	if code != 0 {
		s.Errorf("ddltail ends with exit code %d", code)
		s.transitions(p)
		s.lastLogs = append(s.lastLogs, last(p.Stderr()))
	}
	s.forget(p)
	s.must(p.Close())
}

// tailed returns the member that a ddltail reads from, according to its log.
func (s *scene) tailed(p *ddltailtest.Process) *mongotest.Member {
	s.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var host string
		for line := range strings.Lines(p.Stderr()) {
			var entry struct{ Msg, Member string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "reading the oplog" {
				host = entry.Member
			}
		}
		for _, m := range s.set.Members() {
			if m.Addr() == host {
				return m
			}
		}
	}
	s.Fatal("no ddltail has logged which member it reads from")
	return nil
}

// primary waits for a primary and returns it.
func (s *scene) primary() *mongotest.Member {
	s.Helper()
	m, err := s.set.WaitPrimary(s.Context())
	s.must(err)
	return m
}

// restart restarts a killed member.
func (s *scene) restart(m *mongotest.Member) {
	s.Helper()
	if err := m.Restart(s.Context()); err != nil {
		text, _ := os.ReadFile(m.Log())
		s.Fatalf("restart %s: %v\n%s", m.Addr(), err, last(string(text)))
	}
}

// recovered waits until all members are healthy, and for a short time of load.
func (s *scene) recovered() {
	s.Helper()
	s.must(s.set.WaitReady(s.Context()))
	s.while(300, 900)
}

// while waits for a random time between two bounds, in milliseconds.
func (s *scene) while(least, most int) {
	time.Sleep(time.Duration(least+rand.IntN(most-least)) * time.Millisecond)
}

// mark creates a collection that is not in the ledger, and returns the timestamp of its
// entry.
func (s *scene) mark(name string) bson.Timestamp {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	name += fmt.Sprint("_", rand.Uint32()) // marks of earlier scenarios exist
	for {
		err := s.client.Database("marks").CreateCollection(ctx, name)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			s.Fatalf("make the mark %s: %v", name, err)
		}
		name += "_again"
	}
	entry, err := s.client.Database("local").Collection("oplog.rs").FindOne(ctx,
		bson.D{{Key: "op", Value: "c"}, {Key: "ns", Value: "marks.$cmd"}, {Key: "o.create", Value: name}}).Raw()
	if err != nil {
		s.Fatalf("find the mark %s: %v", name, err)
	}
	t, i := entry.Lookup("ts").Timestamp()
	return bson.Timestamp{T: t, I: i}
}

// published waits until one of ddltail's collections has a notification at or after a timestamp, and returns all
// of its notifications.
func (s *scene) published(collection string, upTo bson.Timestamp) []ledger.Document {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	coll := s.sink.Database(database).Collection("schema_" + collection)
	for {
		err := coll.FindOne(ctx, bson.D{{Key: "optime.ts", Value: bson.D{{Key: "$gte", Value: upTo}}}}).Err()
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			s.Errorf("%s has no notification at or after %v: %v", collection, upTo, err)
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	all, err := ledger.ReadPublished(s.Context(), coll)
	s.must(err)
	return all
}

// lasting returns a duration between short and long that grows with the number of rounds.
func lasting(short, long time.Duration) time.Duration {
	return min(short*time.Duration(times()), max(short, long))
}
