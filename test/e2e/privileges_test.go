package e2e

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// needed returns the privileges for a use on a set that also has ddltail's own
// collections.
func needed(use privileges.Use) []privileges.Need {
	return slices.Concat(use.Needs(privileges.Tailed), use.Needs(privileges.Sink))
}

// grant creates a user and a role with these privileges, both with the same name.
func grant(t *testing.T, admin *mongo.Database, name string, may []privileges.Privilege) {
	t.Helper()
	list := bson.A{}
	for _, p := range may {
		list = append(list, bson.D{{Key: "resource", Value: resource(p.Resource)}, {Key: "actions", Value: p.Actions}})
	}
	for _, command := range []bson.D{
		{{Key: "createRole", Value: name}, {Key: "privileges", Value: list}, {Key: "roles", Value: bson.A{}}},
		{{Key: "createUser", Value: name}, {Key: "pwd", Value: "s3cret"}, {Key: "roles", Value: bson.A{name}}},
	} {
		if err := admin.RunCommand(t.Context(), command).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func resource(r privileges.Resource) bson.D {
	switch {
	case r.Cluster:
		return bson.D{{Key: "cluster", Value: true}}
	case r.SystemBuckets != nil:
		return bson.D{{Key: "db", Value: *r.DB}, {Key: "system_buckets", Value: *r.SystemBuckets}}
	}
	return bson.D{{Key: "db", Value: *r.DB}, {Key: "collection", Value: *r.Collection}}
}

// without lists all privileges of the needs except one.
func without(needs []privileges.Need, left privileges.Privilege) []privileges.Privilege {
	var may []privileges.Privilege
	for _, n := range needs {
		for _, p := range n.Privileges {
			if p.String() != left.String() {
				may = append(may, p)
			}
		}
	}
	return may
}

// TestPrivileges revokes each privilege in turn: `run` and `status` must name it with the
// same remedy.
func TestPrivileges(t *testing.T) {
	t.Parallel()
	secured := mongotest.NewReplicaSet(t, mongotest.Options{Auth: true})
	admin := mongotest.Connect(t, secured.URI()).Database("admin")
	major, err := mongotest.ServerMajor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, need := range needed(privileges.Use{Database: "x", HistoryTTL: true, Actor: true, GetLog: true, MajorVersion: major}) {
		for i := range need.Privileges {
			n++
			name := fmt.Sprintf("lacking%d", n)
			needs := needed(privileges.Use{Database: name, HistoryTTL: true, Actor: true, GetLog: true, MajorVersion: major})
			left := needs[slices.IndexFunc(needs, func(other privileges.Need) bool {
				return other.By == need.By && other.Without == need.Without && len(other.Privileges) > i &&
					slices.Equal(other.Privileges[i].Actions, need.Privileges[i].Actions)
			})].Privileges[i]
			grant(t, admin, name, without(needs, left))
			t.Run(left.String(), func(t *testing.T) {
				t.Parallel()
				checkLacking(t, need.Effect, left.String(), "DDLTAIL_MONGODB_URI="+secured.URIOf(name, "s3cret", name), "DDLTAIL_HISTORY_TTL=1h", "DDLTAIL_ACTOR=getlog")
			})
		}
	}
}

func checkLacking(t *testing.T, effect privileges.Effect, left string, variables ...string) {
	t.Helper()
	p := launch(t, []string{"run"}, variables...)
	if effect == privileges.Required || effect == privileges.RequiredOnce {
		wantExit(t, p, 2, left, "run "+privileges.Script)
	} else {
		if err := p.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		if missing := privilegesMissing(t, p); (missing > 0) != (effect == privileges.Configured) {
			t.Errorf("privileges_missing is %v", missing)
		}
		wantWarned(t, p, left)
	}
	status := launch(t, []string{"status"}, variables...)
	if _, err := status.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{left, privileges.Script} {
		if !strings.Contains(status.Stdout(), want) {
			t.Errorf("status does not say %q:\n%s", want, status.Stdout())
		}
	}
	wantNoLeak(t, p.Stderr(), status.Stdout())
}

// wantNoLeak checks that no text contains a remedy that grants too much, a raw command or a
// secret.
func wantNoLeak(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		for _, never := range []string{"readWrite", "lsid", "$clusterTime", "signature", "s3cret"} {
			if strings.Contains(text, never) {
				t.Errorf("%q is in\n%s", never, text)
			}
		}
	}
}

// TestPrivilegesOfCommands revokes each action in turn from a user of the commands that
// connect only to the sink: they must exit at once, or work without the feature in the
// table of privileges.
func TestPrivilegesOfCommands(t *testing.T) {
	t.Parallel()
	secured := mongotest.NewStandalone(t, mongotest.Options{Auth: true})
	root := mongotest.Connect(t, secured.URI())
	admin := root.Database("admin")
	_, err := root.Database("audit").Collection("schema_history").InsertOne(t.Context(), bson.D{
		{Key: "_id", Value: "rs0:1795479993:0000000001:000000"}, {Key: "operation", Value: "CREATE_COLLECTION"},
		{Key: "collection", Value: "payments"}, {Key: "database", Value: "banking_db"}, {Key: "ns", Value: "banking_db.payments"},
		{Key: "timestamp", Value: 1795479993.1}, {Key: "source", Value: "oplog"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		role privileges.Role
		args string
	}{
		{privileges.Listen, "listen --stdout"},
		{privileges.Listen, "setup"},
		{privileges.Listen, "notify CREATE_COLLECTION payments"},
		{privileges.Listen, "cleanup"},
		{privileges.Listen, "redeliver --rejected"},
		{privileges.History, "history"},
	} {
		args := strings.Fields(c.args)
		needs := privileges.Use{Role: c.role, Command: args[0], Database: "audit"}.Needs(privileges.Sink)
		for _, need := range needs {
			for _, left := range single(need.Privileges) {
				name := fmt.Sprintf("%s_%s_%s", args[0], *left.Resource.Collection, left.Actions[0])
				grant(t, admin, name, slices.DeleteFunc(single(without(needs, privileges.Privilege{})), func(p privileges.Privilege) bool {
					return p.String() == left.String()
				}))
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					p := launch(t, args, fmt.Sprintf("DDLTAIL_MONGODB_URI=mongodb://%s:s3cret@%s/audit?authSource=admin", name, secured.Addr()))
					switch {
					case need.Effect == privileges.Required:
						wantExit(t, p, 2, left.String(), "run "+privileges.Script+" with DDLTAIL_ROLE="+string(c.role))
					case c.role == privileges.History:
						wantExit(t, p, 0)
						if !strings.Contains(p.Stdout(), "banking_db.payments") {
							t.Errorf("the change is not listed:\n%s", p.Stdout())
						}
					default:
						wantWarned(t, p, left.String())
					}
					wantNoLeak(t, p.Stderr())
				})
			}
		}
	}
}

// single splits privileges into privileges with one action each.
func single(list []privileges.Privilege) []privileges.Privilege {
	var all []privileges.Privilege
	for _, p := range list {
		for _, action := range p.Actions {
			all = append(all, privileges.Privilege{Resource: p.Resource, Actions: []string{action}})
		}
	}
	return all
}

// wantWarned waits until a daemon is ready, and checks that it has logged the missing
// privilege once.
func wantWarned(t *testing.T, p *ddltailtest.Process, left string) {
	t.Helper()
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitLog(t.Context(), left); err != nil {
		t.Error(err)
	}
	if n := strings.Count(p.Stderr(), `"msg":"privileges are missing"`); n != 1 || !strings.Contains(p.Stderr(), left) {
		t.Errorf("%d lines, want one that names %s:\n%s", n, left, p.Stderr())
	}
}

// privilegesMissing waits until the privileges have been read.
func privilegesMissing(t *testing.T, p *ddltailtest.Process) float64 {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		missing, err := p.Metric(t.Context(), "ddltail_privileges_missing")
		if err == nil && !math.IsNaN(missing) {
			return missing
		}
		if time.Now().After(end) {
			t.Fatalf("the privileges are not read: %v, %v", missing, err)
		}
	}
}

// historyDropped drops the history while nothing may be listed: the known catalog must stay known, in this process and in the next.
func (s scene) historyDropped(p *ddltailtest.Process) {
	s.must(s.db.Collection("schema_history").Drop(s.Context()))
	s.run(bson.D{{Key: "create", Value: "later"}})
	wantStatements(s.T, s.documents("schema_history", 2), "DROP COLLECTION schema_history", "CREATE COLLECTION later")
	s.until("the catalog is stored again", func() bool {
		n, err := s.db.Collection("schema_checkpoints").CountDocuments(s.Context(), bson.D{{Key: "baseline.ts", Value: bson.D{{Key: "$gt", Value: bson.Timestamp{}}}}})
		return err == nil && n == 1
	})
	if _, err := p.Stop(s.Context()); err != nil {
		s.Fatal(err)
	}
	s.start()
	s.run(bson.D{{Key: "drop", Value: "after"}})
	docs := s.documents("schema_history", 3)
	if _, err := docs[2].LookupErr("before"); err != nil {
		s.Errorf("the drop of a known collection has no definition: %s", docs[2])
	}
}

// TestListingRefusedLater revokes the privileges to list before a later run: it must warn,
// and report a gap without differences.
func TestListingRefusedLater(t *testing.T) {
	t.Parallel()
	small := mongotest.NewReplicaSet(t, mongotest.Options{Auth: true, OplogSizeMB: 16, Args: []string{"--syncdelay", "1"}})
	s := scene{T: t, uri: small.URIOf("ann", "s3cret", "unlisted"), client: mongotest.Connect(t, small.URI())}
	s.db = s.client.Database("unlisted")
	admin := s.client.Database("admin")
	needs := needed(privileges.Use{Database: "unlisted"})
	grant(t, admin, "ann", without(needs, privileges.Privilege{}))
	p := s.start()
	s.run(bson.D{{Key: "create", Value: "before"}})
	s.documents("schema_history", 1)
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.run(bson.D{{Key: "create", Value: "lost"}})
	rollOver(t, s.client)
	for _, need := range needs {
		if need.Effect != privileges.RequiredOnce {
			continue
		}
		for _, left := range need.Privileges {
			s.must(admin.RunCommand(t.Context(), bson.D{{Key: "revokePrivilegesFromRole", Value: "ann"}, {Key: "privileges", Value: bson.A{
				bson.D{{Key: "resource", Value: resource(left.Resource)}, {Key: "actions", Value: left.Actions}},
			}}}).Err())
		}
	}
	p = s.start("DDLTAIL_RECONCILE=start")
	s.run(bson.D{{Key: "create", Value: "after"}})
	wantStatements(t, s.documents("schema_history", 2), "CREATE COLLECTION before", "CREATE COLLECTION after")
	if n := len(s.gaps("schema_history")); n != 1 {
		t.Errorf("%d gaps, want 1", n)
	}
	if missing := privilegesMissing(t, p); missing == 0 {
		t.Error("privileges_missing is 0")
	}
	s.historyDropped(p)
	if text := p.Stderr(); strings.Contains(text, "lsid") || !strings.Contains(text, "the gap is reported without differences") {
		t.Errorf("the log is\n%s", text)
	}
}
