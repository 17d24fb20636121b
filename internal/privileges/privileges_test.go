package privileges

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table in docs/privileges.md")

func TestCovers(t *testing.T) {
	oplog, replset, cluster := on("local", "oplog.rs"), on("local", "system.replset"), Resource{Cluster: true}
	for _, c := range []struct {
		have, need Resource
		want       bool
	}{
		{oplog, oplog, true}, {on("local", ""), oplog, true}, {on("", "oplog.rs"), oplog, true}, {on("", ""), oplog, true},
		{on("other", ""), oplog, false}, {on("local", "other"), oplog, false}, {Resource{Any: true}, oplog, true},
		{on("local", ""), replset, false}, {replset, replset, true}, {Resource{Any: true}, replset, true},
		{cluster, cluster, true}, {on("", ""), cluster, false}, {cluster, on("", ""), false}, {Resource{Any: true}, cluster, true},
		{on("", ""), buckets(), false}, {buckets(), buckets(), true}, {on("db", ""), on("", ""), false},
	} {
		if got := c.have.covers(c.need); got != c.want {
			t.Errorf("%s covers %s: %t", c.have, c.need, got)
		}
	}
}

// logged returns a user who is logged in and may do what is given.
func logged(name string, may ...Privilege) User {
	u := User{Privileges: may}
	u.Users = append(u.Users, struct {
		User string `bson:"user"`
		DB   string `bson:"db"`
	}{name, "admin"})
	return u
}

func TestMissing(t *testing.T) {
	use := Use{Database: "audit", HistoryTTL: true, MajorVersion: 6}
	if m := (User{everything: true}).Missing(use, use.Needs(Sink)); m.Error() != nil {
		t.Errorf("without access control: %v", m.Error())
	}
	m := User{}.Missing(use, use.Needs(Tailed))
	if len(m.Needs) != 5 || m.Grant != "" || !strings.Contains(m.Remedy(), "user and password") {
		t.Errorf("without a login: %v", m)
	}
	u := logged("o'brien", Privilege{on("audit", ""), []string{"find", "insert", "update", "createIndex"}})
	if m := u.Missing(use, Use{Database: "audit"}.Needs(Sink)); m.Error() != nil {
		t.Errorf("a role on the whole database: %v", m.Error())
	}
	m = u.Missing(use, use.Needs(Sink))
	if len(m.Privileges()) != 2 || len(m.Of(Configured)) != 1 || len(m.Of(Required, RequiredOnce, Optional)) != 0 {
		t.Errorf("got %v", m)
	}
	for _, want := range []string{
		Script + " with DDLTAIL_HISTORY_TTL set", `grantRolesToUser('o\'brien'`, "{resource: {db: 'audit', collection: 'schema_history'}, actions: ['remove']}",
	} {
		if !strings.Contains(m.Error().Error(), want) {
			t.Errorf("no %s in %v", want, m.Error())
		}
	}
}

// TestMissingOf joins what is missing where set and sink are one deployment: one command
// grants it.
func TestMissingOf(t *testing.T) {
	use := Use{Database: "audit"}
	users := map[Deployment]User{Tailed: logged("a"), Sink: logged("a")}
	all := len(use.Needs(Tailed)) + len(use.Needs(Sink))
	if joined := use.MissingOf(users, true); len(joined) != 1 || len(joined[0].Needs) != all {
		t.Errorf("one deployment: %v, want %d needs in one", joined, all)
	}
	if apart := use.MissingOf(users, false); len(apart) != 2 || len(apart[0].Needs)+len(apart[1].Needs) != all {
		t.Errorf("two deployments: %v, want %d needs in two", apart, all)
	}
}

// TestEachPrivilege takes each row away in turn, from a user who has all others.
func TestEachPrivilege(t *testing.T) {
	for _, role := range []Role{Run, Listen, History} {
		use := Use{Role: role, Database: "audit", HistoryTTL: role == Run, MajorVersion: 6}
		for _, d := range []Deployment{Tailed, Sink} {
			needs := use.Needs(d)
			for i := range needs {
				var may []Privilege
				for _, n := range slices.Delete(slices.Clone(needs), i, i+1) {
					may = append(may, n.Privileges...)
				}
				m := logged("u", may...).Missing(use, needs)
				err := m.Error()
				if err == nil {
					// listen, setup and cleanup share rights.
					if role != Listen {
						t.Errorf("%s: nothing is missing without %s", role, Text(needs[i].Privileges))
					}
					continue
				}
				if !strings.Contains(err.Reason, m.Privileges()[0].String()) || !strings.Contains(err.Remedy, Script) || strings.Contains(err.Error(), "readWrite") {
					t.Errorf("%s without %s: %v", role, Text(needs[i].Privileges), err)
				}
			}
		}
	}
}

// TestDocs compares docs/privileges.md with the table.
func TestDocs(t *testing.T) {
	const (
		path  = "../../docs/privileges.md"
		begin = "<!-- privileges: written by go test ./internal/privileges -update -->\n"
		end   = "<!-- end of privileges -->"
	)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, hasBegin := strings.Cut(string(text), begin)
	_, tail, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		t.Fatalf("%s has no place for the table: want a line %q and one with %s", path, begin, end)
	}
	var table strings.Builder
	table.WriteString("| privilege | on | needed by | without it |\n| --- | --- | --- | --- |\n")
	for _, n := range Table("DATABASE") {
		where := "the set to tail"
		if n.Deployment == Sink {
			where = "the sink"
		}
		var list []string
		for _, p := range n.Privileges {
			list = append(list, fmt.Sprintf("`%s` on `%s`", strings.Join(p.Actions, "`, `"), p.Resource))
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", strings.Join(list, "<br>"), where, n.By, n.Without)
	}
	want := head + begin + table.String() + end + tail
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s differs from the table: go test ./internal/privileges -run Docs -update", path)
	}
}
