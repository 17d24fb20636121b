package getlog

import (
	"slices"
	"testing"
)

// TestRunBy: while a connection runs a command for the user of a mongos's client, its own users are in runBy (from the server's source,
// CurOp::reportCurrentOpForClient).
func TestRunBy(t *testing.T) {
	o := operation{
		Description: "conn5", App: "alice's", Users: []user{{"alice", "admin"}}, RunBy: []user{{"__system", "local"}},
	}
	if c := o.connection(); !slices.Equal(c.Users, []string{"__system@local"}) || c.App != "" {
		t.Errorf("%+v", c)
	}
	o.RunBy = nil
	if c := o.connection(); !slices.Equal(c.Users, []string{"alice@admin"}) || c.App != "alice's" {
		t.Errorf("%+v", c)
	}
}
