package health

import (
	"strings"
	"testing"
)

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

func TestMissing(t *testing.T) {
	var u user
	if m := u.missing(WriterNeeds("audit", true), "audit"); len(m.Privileges) != 0 {
		t.Errorf("without access control %v is missing", m)
	}
	u.Users = append(u.Users, struct {
		User string `bson:"user"`
		DB   string `bson:"db"`
	}{"o'brien", "admin"})
	u.Privileges = []Privilege{{on("audit", ""), []string{"find", "insert", "update", "createIndex"}}}
	if m := u.missing(WriterNeeds("audit", false), "audit"); len(m.Privileges) != 0 {
		t.Errorf("a role on the database: %v is missing", m)
	}
	m := u.missing(WriterNeeds("audit", true), "audit")
	if len(m.Privileges) != 2 || !strings.Contains(m.Grant, `grantRolesToUser('o\'brien'`) || !strings.Contains(m.Grant, "['remove']") {
		t.Errorf("got %v", m)
	}
}
