package mongotest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/mongotest"
)

func TestThreeMembers(t *testing.T) {
	t.Parallel()
	began := time.Now()
	set := mongotest.NewReplicaSet(t, mongotest.Options{Members: 3, ElectionTimeout: 2 * time.Second})
	t.Logf("ready after %s", time.Since(began).Round(time.Millisecond))
	client := mongotest.Connect(t, set.URI())
	insert(t, client, "before")

	first := must(set.WaitPrimary(t.Context()))(t)
	ok(t, first.Pause())
	waitOtherPrimary(t, set, first)
	ok(t, first.Resume())
	ok(t, set.WaitReady(t.Context()))
	second := must(set.WaitPrimary(t.Context()))(t)
	killed := must(set.StepDown(t.Context()))(t)
	if killed == second {
		t.Error("the primary that stepped down is primary")
	}
	ok(t, killed.Kill())
	waitOtherPrimary(t, set, killed)
	ok(t, killed.Restart(t.Context()))
	ok(t, set.WaitReady(t.Context()))
	insert(t, client, "after")
	if n := count(t, client); n != 2 {
		t.Errorf("%d documents", n)
	}
}

func waitOtherPrimary(t *testing.T, set *mongotest.ReplicaSet, not *mongotest.Member) *mongotest.Member {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		if m := must(set.WaitPrimary(ctx))(t); m != not {
			return m
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestOneMember(t *testing.T) {
	t.Parallel()
	set := mongotest.NewReplicaSet(t, mongotest.Options{Name: "solo", OplogSizeMB: 16})
	if !strings.Contains(set.URI(), "replicaSet=solo") {
		t.Errorf("URI %s", set.URI())
	}
	client := mongotest.Connect(t, set.URI())
	var stats struct {
		MaxSize int64 `bson:"maxSize"`
	}
	ok(t, client.Database("local").RunCommand(t.Context(), bson.D{{Key: "collStats", Value: "oplog.rs"}}).Decode(&stats))
	if stats.MaxSize != 16<<20 {
		t.Errorf("the oplog's size is %d", stats.MaxSize)
	}
	member := set.Members()[0]
	if m := must(set.StepDown(t.Context()))(t); m != member {
		t.Error("another member is primary")
	}
	ok(t, member.Shutdown(t.Context()))
	ok(t, member.Restart(t.Context()))
	ok(t, set.WaitReady(t.Context()))
	insert(t, client, "after")
}

func TestAuth(t *testing.T) {
	t.Parallel()
	set := mongotest.NewReplicaSet(t, mongotest.Options{Members: 3, Auth: true})
	root := mongotest.Connect(t, set.URI())
	insert(t, root, "by root")
	ok(t, root.Database("admin").RunCommand(t.Context(), bson.D{
		{Key: "createUser", Value: "reader"}, {Key: "pwd", Value: "a/b@c"},
		{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "test"}}}},
	}).Err())
	reader := mongotest.Connect(t, set.URIOf("reader", "a/b@c", "test"))
	if n := count(t, reader); n != 1 {
		t.Errorf("%d documents", n)
	}
	const unauthorized = 13
	var refused mongo.ServerError
	nobody := mongotest.Connect(t, set.URIOf("", "", ""))
	_, err := nobody.Database("test").Collection("c").InsertOne(t.Context(), bson.D{})
	if !errors.As(err, &refused) || !refused.HasErrorCode(unauthorized) {
		t.Errorf("without credentials: %v", err)
	}
	for _, m := range set.Members() {
		ok(t, mongotest.Connect(t, m.URI()).Database("admin").RunCommand(t.Context(), bson.D{{Key: "serverStatus", Value: 1}}).Err())
	}
	must(set.StepDown(t.Context()))(t)
}

func TestArbiter(t *testing.T) {
	t.Parallel()
	set := mongotest.NewReplicaSet(t, mongotest.Options{Members: 2, Arbiter: true, Auth: true})
	if n := len(set.Members()); n != 3 {
		t.Fatalf("%d members", n)
	}
	arbiter := mongotest.Connect(t, set.Members()[2].URI())
	var hello struct{ ArbiterOnly bool }
	ok(t, arbiter.Database("admin").RunCommand(t.Context(), bson.D{{Key: "hello", Value: 1}}).Decode(&hello))
	if !hello.ArbiterOnly {
		t.Error("the last member is no arbiter")
	}
}

func TestAdd(t *testing.T) {
	t.Parallel()
	set := mongotest.NewReplicaSet(t, mongotest.Options{Auth: true})
	insert(t, mongotest.Connect(t, set.URI()), "before")
	added := must(set.Add(t.Context()))(t)
	if n := count(t, mongotest.Connect(t, added.URI()+"&readPreference=secondary")); n != 1 {
		t.Errorf("the added member has %d documents", n)
	}
}

func TestReconfig(t *testing.T) {
	t.Parallel()
	set := mongotest.NewReplicaSet(t, mongotest.Options{})
	ok(t, set.Reconfig(t.Context(), func(config bson.M) {
		config["members"].(bson.A)[0].(bson.M)["priority"] = 3
	}))
	var reply struct {
		Config struct {
			Members []struct{ Priority float64 }
		}
	}
	client := mongotest.Connect(t, set.URI())
	ok(t, client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "replSetGetConfig", Value: 1}}).Decode(&reply))
	if p := reply.Config.Members[0].Priority; p != 3 {
		t.Errorf("priority %v", p)
	}
}

func TestUninitiated(t *testing.T) {
	t.Parallel()
	set := mongotest.NewReplicaSet(t, mongotest.Options{Uninitiated: true})
	if _, err := set.Primary(t.Context()); !errors.Is(err, mongotest.ErrNoPrimary) {
		t.Errorf("primary: %v", err)
	}
	ok(t, set.Initiate(t.Context()))
	insert(t, mongotest.Connect(t, set.URI()), "after")
}

func TestBackupRestoreWipe(t *testing.T) {
	t.Parallel()
	set := mongotest.NewReplicaSet(t, mongotest.Options{Auth: true})
	client := mongotest.Connect(t, set.URI())
	member := set.Members()[0]
	backup := t.TempDir() + "/backup"
	insert(t, client, "kept")
	if err := member.Backup(backup); err == nil {
		t.Error("a backup of a running server")
	}
	ok(t, member.Shutdown(t.Context()))
	ok(t, member.Backup(backup))
	ok(t, member.Restart(t.Context()))
	ok(t, set.WaitReady(t.Context()))
	insert(t, mongotest.Connect(t, set.URI()), "lost")
	ok(t, member.Kill())
	ok(t, member.Restore(backup))
	ok(t, member.RestartStandalone(t.Context()))
	if n := count(t, mongotest.Connect(t, member.URI())); n != 1 {
		t.Errorf("%d documents in the restored backup", n)
	}
	ok(t, member.Kill())
	ok(t, member.Wipe())
	ok(t, member.Restart(t.Context()))
	if _, err := set.Primary(t.Context()); !errors.Is(err, mongotest.ErrNoPrimary) {
		t.Errorf("a wiped member knows its set: %v", err)
	}
}

func insert(t *testing.T, client *mongo.Client, what string) {
	t.Helper()
	_, err := client.Database("test").Collection("c").InsertOne(t.Context(), bson.D{{Key: "what", Value: what}})
	ok(t, err)
}

func count(t *testing.T, client *mongo.Client) int64 {
	t.Helper()
	return must(client.Database("test").Collection("c").CountDocuments(t.Context(), bson.D{}))(t)
}

func ok(t *testing.T, err error) {
	t.Helper()
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		ok(t, err)
		return v
	}
}
