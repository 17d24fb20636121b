// Package indexes tests that ddltail's own indexes never wait for index builds of others.
package indexes

import (
	"context"
	"fmt"
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

var binary string

func TestMain(m *testing.M) { os.Exit(ddltailtest.WithBinary(&binary, m.Run)) }

// slots is the number of concurrent index builds of a server
// (maxNumActiveUserIndexBuilds).
const slots = 3

type scene struct {
	*testing.T
	uri    string
	client *mongo.Client
}

// TestSlotsTaken occupies all of the server's slots for index builds: ddltail must still start, create its indexes, and
// report changes.
func TestSlotsTaken(t *testing.T) {
	set := mongotest.NewReplicaSet(t, mongotest.Options{Args: []string{"--setParameter", "enableTestCommands=1"}})
	s := scene{T: t, uri: set.URIOf("", "", "audit"), client: mongotest.Connect(t, set.URI())}
	release := s.holdSlots()
	p := s.start("run")
	s.reports("first_run")
	for coll, n := range map[string]int{"schema_notifications": 2, "schema_history": 5, "schema_catalog": 2, "schema_checkpoints": 1} {
		if got := s.indexes(coll); len(got) != n+1 {
			t.Errorf("%s has the indexes %q, want %d beside _id_", coll, got, n)
		}
	}
	s.until("the catalog is written", func() bool {
		n, err := s.client.Database("audit").Collection("schema_catalog").CountDocuments(t.Context(), bson.D{{Key: "ns", Value: "user.first_run"}})
		return err == nil && n == 1
	})
	s.run("audit", bson.D{{Key: "drop", Value: "schema_catalog"}}) // it is recreated with its indexes
	s.until("schema_catalog has its indexes again", func() bool { return len(s.indexes("schema_catalog")) == 3 })
	s.reports("own_dropped")
	s.stop(p)

	s.run("audit", bson.D{{Key: "dropIndexes", Value: "schema_history"}, {Key: "index", Value: "timestamp_1__id_1"}})
	s.run("audit", bson.D{{Key: "dropIndexes", Value: "schema_checkpoints"}, {Key: "index", Value: "one_queue_per_source"}})
	p = s.start("run")
	s.reports("indexes_missing")
	s.refused("DDLTAIL_NAME=second")
	l := s.start("listen", "--stdout") // whose indexes are missing on a queue with notifications
	if slices.Contains(s.indexes("schema_history"), "timestamp_1__id_1") {
		t.Error("the slots are not held")
	}

	release()
	for coll, name := range map[string]string{
		"schema_history": "timestamp_1__id_1", "schema_checkpoints": "one_queue_per_source", "schema_notifications": "unprocessed_by_hand",
	} {
		s.until("the index "+name+" is created", func() bool { return slices.Contains(s.indexes(coll), name) })
	}
	s.stop(l)
	s.stop(p)
	s.refused("DDLTAIL_NAME=second")
}

// holdSlots starts as many index builds as the server runs concurrently, and blocks them until release is
// called.
func (s scene) holdSlots() (release func()) {
	hang := func(mode string) {
		s.run("admin", bson.D{{Key: "configureFailPoint", Value: "hangAfterStartingIndexBuild"}, {Key: "mode", Value: mode}})
	}
	hang("alwaysOn")
	done := make(chan error, slots)
	for i := range slots {
		coll := s.client.Database("user").Collection(fmt.Sprint("big", i))
		_, err := coll.InsertOne(s.Context(), bson.D{{Key: "a", Value: 1}})
		s.must(err)
		go func() {
			_, err := coll.Indexes().CreateOne(context.WithoutCancel(s.Context()), mongo.IndexModel{Keys: bson.D{{Key: "a", Value: 1}}})
			done <- err
		}()
	}
	s.until("all builds run", func() bool {
		var reply struct {
			InProg []bson.Raw `bson:"inprog"`
		}
		s.must(s.client.Database("admin").RunCommand(s.Context(), bson.D{{Key: "currentOp", Value: true}, {Key: "command.createIndexes", Value: bson.D{{Key: "$exists", Value: true}}}, {Key: "msg", Value: bson.D{{Key: "$exists", Value: true}}}}).Decode(&reply))
		return len(reply.InProg) >= slots
	})
	released := false
	release = func() {
		if released {
			return
		}
		released = true
		hang("off")
		for range slots {
			s.must(<-done)
		}
	}
	s.Cleanup(func() {
		if !released {
			_ = s.client.Database("admin").RunCommand(context.Background(), bson.D{
				{Key: "configureFailPoint", Value: "hangAfterStartingIndexBuild"}, {Key: "mode", Value: "off"}}).Err()
		}
	})
	return release
}

func (s scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s scene) run(db string, cmd bson.D) {
	s.Helper()
	s.must(s.client.Database(db).RunCommand(s.Context(), cmd).Err())
}

func (s scene) indexes(coll string) []string {
	s.Helper()
	cur, err := s.client.Database("audit").Collection(coll).Indexes().List(s.Context())
	s.must(err)
	var specs []struct {
		Name string `bson:"name"`
	}
	s.must(cur.All(s.Context(), &specs))
	var names []string
	for _, spec := range specs {
		names = append(names, spec.Name)
	}
	return names
}

func (s scene) launch(args []string, variables ...string) *ddltailtest.Process {
	s.Helper()
	p, err := ddltailtest.Start(binary, args, append([]string{"DDLTAIL_MONGODB_URI=" + s.uri}, variables...)...)
	s.must(err)
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("ddltail %s:\n%s", strings.Join(args, " "), p.Stderr())
		}
		if err := p.Close(); err != nil {
			s.Error(err)
		}
	})
	return p
}

// start runs a command and waits until it is ready, with a limit that is shorter than the
// wait for a slot.
func (s scene) start(args ...string) *ddltailtest.Process {
	s.Helper()
	p := s.launch(args)
	ctx, cancel := context.WithTimeout(s.Context(), 20*time.Second)
	defer cancel()
	s.must(p.WaitReady(ctx))
	return p
}

func (s scene) stop(p *ddltailtest.Process) {
	s.Helper()
	code, err := p.Stop(s.Context())
	if err != nil || code != 0 {
		s.Fatalf("exit code %d, %v", code, err)
	}
}

// refused starts a second NAME with the same queue.
func (s scene) refused(variables ...string) {
	s.Helper()
	p := s.launch([]string{"run"}, variables...)
	code, err := p.Wait(s.Context())
	s.must(err)
	if code != 2 || !strings.Contains(p.Stderr(), "another name of this source fills the queue") {
		s.Errorf("exit code %d, want 2:\n%s", code, p.Stderr())
	}
}

// reports waits until a change that is made now is in the queue.
func (s scene) reports(name string) {
	s.Helper()
	s.run("user", bson.D{{Key: "create", Value: name}})
	s.until("the creation of "+name+" is reported", func() bool {
		n, err := s.client.Database("audit").Collection("schema_notifications").CountDocuments(s.Context(),
			bson.D{{Key: "ns", Value: "user." + name}}, options.Count().SetLimit(1))
		return err == nil && n == 1
	})
}

func (s scene) until(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not in time: %s", what)
		}
	}
}
