package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// tailing returns the member that ddltail reads from, according to its log.
func tailing(p *ddltailtest.Process) string {
	const said = `"msg":"reading the oplog","member":"`
	text := p.Stderr()
	i := strings.LastIndex(text, said)
	if i < 0 {
		return ""
	}
	host, _, _ := strings.Cut(text[i+len(said):], `"`)
	return host
}

// TestOneSeed names one member of three in the URI, and kills it permanently: ddltail keeps
// running with the members that it has discovered, also after a restart, because the sink is a
// separate deployment.
func TestOneSeed(t *testing.T) {
	t.Parallel()
	three := mongotest.NewReplicaSet(t, mongotest.Options{Members: 3, ElectionTimeout: 2 * time.Second})
	elsewhere := mongotest.NewStandalone(t, mongotest.Options{})
	s := scene{T: t, client: mongotest.Connect(t, elsewhere.URI())}
	s.db = s.client.Database("one_seed")
	seed := three.Members()[0]
	uris := []string{
		fmt.Sprintf("DDLTAIL_MONGODB_URI=mongodb://%s/one_seed?replicaSet=rs0", seed.Addr()),
		"DDLTAIL_SINK_URI=" + strings.Replace(elsewhere.URI(), "/?", "/one_seed?", 1),
	}
	begin := func() *ddltailtest.Process {
		p := s.launch([]string{"run"}, uris...)
		s.must(p.WaitReady(t.Context()))
		return p
	}
	p := begin()
	change := mongotest.Connect(t, three.URI()).Database("one_seed")
	s.must(change.CreateCollection(t.Context(), "before"))
	s.documents("schema_notifications", 1)
	s.must(seed.Kill())
	s.until("a collection is created at the new primary", func() bool {
		return change.CreateCollection(t.Context(), "after") == nil
	})
	s.documents("schema_notifications", 2)
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.must(change.CreateCollection(t.Context(), "while_down"))
	begin()
	wantStatements(t, s.documents("schema_notifications", 3),
		"CREATE COLLECTION before", "CREATE COLLECTION after", "CREATE COLLECTION while_down")
	for _, args := range [][]string{{"status"}, {"drift", "--write", filepath.Join(t.TempDir(), "live.json")}} {
		s.until(args[0]+" reads the other members", func() bool {
			code, err := s.launch(args, uris...).Wait(t.Context())
			return err == nil && code == 0
		})
	}
}

// hide makes the last member of a set hidden, and delayed if seconds are given.
func hide(t *testing.T, hidden *mongotest.ReplicaSet, delay int) *mongotest.Member {
	t.Helper()
	last := hidden.Members()[len(hidden.Members())-1]
	err := hidden.Reconfig(t.Context(), func(config bson.M) {
		members, _ := config["members"].(bson.A)
		for _, m := range members {
			member, _ := m.(bson.M)
			if member["host"] != last.Addr() {
				continue
			}
			member["priority"], member["hidden"] = 0, true
			delete(member, "slaveDelay")
			delete(member, "secondaryDelaySecs")
			if delay > 0 {
				member[delayField(t)] = delay
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func delayField(t *testing.T) string {
	t.Helper()
	major, err := mongotest.ServerMajor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if major < 5 {
		return "slaveDelay"
	}
	return "secondaryDelaySecs"
}

// TestHiddenMember checks that a hidden member is not tailed unless the connection is
// direct, that `status` is healthy then, and that it is read from before a gap is declared.
func TestHiddenMember(t *testing.T) {
	t.Parallel()
	small := mongotest.NewReplicaSet(t, mongotest.Options{Members: 2, OplogSizeMB: 16, Args: []string{"--syncdelay", "1"}})
	hidden := hide(t, small, 0)
	s := scene{T: t, uri: "mongodb://" + small.Members()[0].Addr() + "/hidden_db?replicaSet=rs0", client: mongotest.Connect(t, small.URI())}
	s.db = s.client.Database("hidden_db")
	resize := bson.D{{Key: "replSetResizeOplog", Value: 1}, {Key: "size", Value: 990.0}}
	s.must(mongotest.Connect(t, hidden.URI()).Database("admin").RunCommand(t.Context(), resize).Err())

	for _, preference := range []string{"secondaryPreferred", "nearest"} {
		p := s.start("DDLTAIL_READ_PREFERENCE="+preference, "DDLTAIL_NAME="+preference, "DDLTAIL_SINKS=history")
		if host := tailing(p); host == hidden.Addr() {
			t.Errorf("%s: it tails the hidden member", preference)
		}
		s.must(p.Kill())
	}
	p := s.start()
	s.run(bson.D{{Key: "create", Value: "before"}})
	s.documents("schema_notifications", 1)
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.run(bson.D{{Key: "create", Value: "held_by_the_hidden"}})
	rollOver(t, s.client)
	p = s.start()
	wantStatements(t, s.documents("schema_notifications", 2), "CREATE COLLECTION before", "CREATE COLLECTION held_by_the_hidden")
	if !strings.Contains(p.Stderr(), "outside the read preference") || tailing(p) != hidden.Addr() || len(s.gaps("schema_history")) != 0 {
		t.Errorf("the hidden member was not read from:\n%s", p.Stderr())
	}
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	direct := []string{"DDLTAIL_MONGODB_URI=" + hidden.URI(), "DDLTAIL_SINK_URI=" + s.uri}
	p = s.launch([]string{"run"}, direct...)
	s.must(p.WaitReady(t.Context()))
	if host := tailing(p); host != hidden.Addr() {
		t.Errorf("by a direct connection it tails %q", host)
	}
	s.until("status is healthy by a direct connection", func() bool {
		status := s.launch([]string{"status"}, direct...)
		code, err := status.Wait(t.Context())
		return err == nil && code == 0
	})
}

// TestDelayedMember checks that no read preference selects a delayed member, and that it is
// read from before a gap is declared.
func TestDelayedMember(t *testing.T) {
	t.Parallel()
	// Three members, so that writes with w:majority do not wait for the delayed one.
	set := mongotest.NewReplicaSet(t, mongotest.Options{Members: 3})
	delayed := hide(t, set, 3600)
	s := scene{T: t, uri: set.URIOf("", "", "delayed_db"), client: mongotest.Connect(t, set.URI())}
	s.db = s.client.Database("delayed_db")
	for _, preference := range []string{"secondaryPreferred", "nearest", "primaryPreferred"} {
		p := s.start("DDLTAIL_READ_PREFERENCE="+preference, "DDLTAIL_NAME="+preference, "DDLTAIL_SINKS=history")
		if host := tailing(p); host == delayed.Addr() {
			t.Errorf("%s: it tails the delayed member", preference)
		}
		s.must(p.Kill())
	}
	p := s.launch([]string{"status"}, "DDLTAIL_MONGODB_URI="+s.uri, "DDLTAIL_READ_PREFERENCE=nearest", "DDLTAIL_NAME=nearest")
	if _, err := p.Wait(t.Context()); err != nil || strings.Contains(p.Stdout(), "read from      "+delayed.Addr()) {
		t.Errorf("%v: status reads from the delayed member:\n%s", err, p.Stdout())
	}
}
