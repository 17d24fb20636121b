package e2e

import (
	"testing"

	"github.com/ddltail/ddltail/test/mongotest"
)

// TestMajorityReadConcernDisabled needs a server that supports this option.
func TestMajorityReadConcernDisabled(t *testing.T) {
	t.Parallel()
	disabled := mongotest.NewReplicaSet(t, mongotest.Options{Version: "4.4.2", Args: []string{"--enableMajorityReadConcern", "false"}})
	for _, command := range [][]string{{"run"}, {"listen", "--stdout"}} {
		wantExit(t, launch(t, command, "DDLTAIL_MONGODB_URI="+disabled.URI()), 2, "enableMajorityReadConcern", "remove replication.enableMajorityReadConcern")
	}
	elsewhere := mongotest.NewStandalone(t, mongotest.Options{})
	wantExit(t, launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+disabled.URI(), "DDLTAIL_SINK_URI="+elsewhere.URI()), 2,
		"enableMajorityReadConcern")
}
