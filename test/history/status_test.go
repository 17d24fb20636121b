package history

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/health"
	"github.com/ddltail/ddltail/test/mongotest"
	"github.com/ddltail/ddltail/test/terminal"
)

// status returns the report and the exit code.
func status(t *testing.T, variables ...string) (health.Report, int) {
	t.Helper()
	stdout, stderr, code := command{[]string{"status", "--format", "json"}, variables}.run(t)
	var r health.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	if (code == 0) != r.Healthy || r.Healthy != (len(r.Problems) == 0) {
		t.Errorf("exit %d, healthy %t, problems %q", code, r.Healthy, r.Problems)
	}
	return r, code
}

func TestStatus(t *testing.T) {
	at := []string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=status"}
	r, code := status(t, at...)
	if code != 1 || !strings.Contains(strings.Join(r.Problems, "\n"), "no checkpoint") {
		t.Errorf("before the first run: exit %d, %q", code, r.Problems)
	}
	p := start(t, at...)
	db := mongotest.Connect(t, set.URI()).Database("watched")
	if err := db.CreateCollection(t.Context(), "seen"); err != nil {
		t.Fatal(err)
	}
	r = healthy(t, at)
	if r.ReplicaSet != "rs0" || r.Source != "rs0" || len(r.Members) != 1 || r.Members[0].State != "PRIMARY" || string(r.ReadFrom) != set.Hosts() {
		t.Errorf("the set is %+v", r)
	}
	if r.LastEvent == nil || r.LastEvent.NS != "watched.seen" || r.Queue.Unprocessed == 0 || r.Queue.Oldest == nil || r.Gaps.Number != 0 {
		t.Errorf("last %+v, queue %+v, gaps %+v", r.LastEvent, r.Queue, r.Gaps)
	}
	if !r.Catalog.Compared || *r.Catalog.Namespaces == 0 || r.Oplog.WindowSeconds == 0 || *r.Position.RemainingSeconds == 0 {
		t.Errorf("catalog %+v, oplog %+v, position %+v", r.Catalog, r.Oplog, r.Position)
	}
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, do := range []error{
		db.CreateCollection(t.Context(), "unseen"),
		db.RunCommand(t.Context(), bson.D{{Key: "collMod", Value: "seen"}, {Key: "validator", Value: bson.D{{Key: "a", Value: 1}}}}).Err(),
	} {
		if do != nil {
			t.Fatal(do)
		}
	}
	r, _ = status(t, at...)
	if want := []string{"watched.seen is defined differently on the server", "watched.unseen is on the server, but not in the catalog"}; !slices.Equal(r.Catalog.Differences, want) {
		t.Errorf("differences %q", r.Catalog.Differences)
	}
	cmd := exec.CommandContext(t.Context(), binary, "status")
	cmd.Env = slices.Concat(environment(), at, []string{"TERM=xterm"})
	out, err := terminal.Run(t.Context(), cmd, 80, 40)
	if err == nil {
		t.Error("exit 0")
	}
	contains(t, out, "NOT HEALTHY", "watched.unseen", "\x1b[1;31m")
}

// healthy waits until status is healthy: the position is saved some seconds after a
// change.
func healthy(t *testing.T, variables []string) health.Report {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		r, code := status(t, variables...)
		if code == 0 && r.LastEvent != nil {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("not healthy: %+v", r)
		}
	}
}

// TestStatusOfNothing checks that status names the unreachable servers, and hides the
// password.
func TestStatusOfNothing(t *testing.T) {
	stdout, stderr, code := command{[]string{"status"}, []string{"DDLTAIL_MONGODB_URI=mongodb://user:hidden@127.0.0.1:1/db"}}.run(t)
	if code != 1 {
		t.Errorf("exit %d", code)
	}
	contains(t, stdout, "cannot be queried", "127.0.0.1:1")
	containsNot(t, stdout+stderr, "hidden")
}

// TestMissingPrivileges revokes privileges, and checks that the remedy in status restores
// them.
func TestMissingPrivileges(t *testing.T) {
	secured := mongotest.NewReplicaSet(t, mongotest.Options{Auth: true})
	script := filepath.Join("..", "..", "deploy", "replicaset", "create-user.js")
	shellFile(t, secured.URI(), script, "DDLTAIL_USER=tail", "DDLTAIL_DATABASE=audit", "DDLTAIL_PASSWORD=secret")
	at := []string{"DDLTAIL_MONGODB_URI=" + secured.URIOf("tail", "secret", ""), "DDLTAIL_DATABASE=audit"}
	start(t, at...)
	admin := mongotest.Connect(t, secured.URI()).Database("admin")
	if err := admin.Client().Database("watched").CreateCollection(t.Context(), "seen"); err != nil {
		t.Fatal(err)
	}
	if r := healthy(t, at); len(r.Missing) != 0 {
		t.Fatalf("create-user.js leaves %+v missing", r.Missing)
	}
	r, _ := status(t, append(slices.Clone(at), "DDLTAIL_HISTORY_TTL=1h")...)
	if len(r.Missing) != 1 || !strings.Contains(r.Missing[0].Grant, "'remove'") {
		t.Errorf("with retention %+v is missing", r.Missing)
	}
	shellFile(t, secured.URI(), script, "DDLTAIL_USER=tail", "DDLTAIL_DATABASE=audit", "DDLTAIL_PASSWORD=secret", "DDLTAIL_HISTORY_TTL=1h")
	if r, _ := status(t, append(slices.Clone(at), "DDLTAIL_HISTORY_TTL=1h")...); len(r.Missing) != 0 {
		t.Errorf("create-user.js for retention leaves %+v missing", r.Missing)
	}
	err := admin.RunCommand(t.Context(), bson.D{{Key: "revokePrivilegesFromRole", Value: "ddltail_run_audit"}, {Key: "privileges", Value: bson.A{
		bson.D{{Key: "resource", Value: bson.D{{Key: "cluster", Value: true}}}, {Key: "actions", Value: bson.A{"listDatabases"}}},
		bson.D{{Key: "resource", Value: bson.D{{Key: "db", Value: "audit"}, {Key: "collection", Value: "schema_history"}}}, {Key: "actions", Value: bson.A{"insert"}}},
	}}}).Err()
	if err != nil {
		t.Fatal(err)
	}
	r, code := status(t, at...)
	if code != 1 || len(r.Missing) != 1 || len(r.Missing[0].Privileges) != 2 {
		t.Fatalf("exit %d, missing %+v", code, r.Missing)
	}
	shell(t, secured.URI(), r.Missing[0].Grant)
	if r := healthy(t, at); len(r.Missing) != 0 {
		t.Errorf("%+v is missing", r.Missing)
	}

	// A user without ddltail's role gets it.
	err = admin.RunCommand(t.Context(), bson.D{{Key: "createUser", Value: "other"}, {Key: "pwd", Value: "secret"},
		{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "mine"}}}}}).Err()
	if err != nil {
		t.Fatal(err)
	}
	other := []string{"DDLTAIL_MONGODB_URI=" + secured.URIOf("other", "secret", ""), "DDLTAIL_DATABASE=mine"}
	r, _ = status(t, other...)
	if len(r.Missing) != 1 || !strings.Contains(r.Missing[0].Grant, "createRole") {
		t.Fatalf("missing %+v", r.Missing)
	}
	shell(t, secured.URI(), r.Missing[0].Grant)
	if r, _ := status(t, other...); len(r.Missing) != 0 {
		t.Errorf("%+v is missing", r.Missing)
	}
}
