package main

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestMain is a peer where it is started as one.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "-peer") {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestSlowedPeerShowsAsSlower measures the latency of a peer, and of the same peer that
// waits before every change.
func TestSlowedPeerShowsAsSlower(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a server")
	}
	const delay = 300 * time.Millisecond
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	slowed := newPeer(self, nameTail)
	slowed.name = "slowed"
	slowed.start = func(to target) (*ddltailtest.Process, error) {
		return ddltailtest.Start(self, []string{"-peer", nameTail, "-uri", to.uri, "-database", to.database, "-slow", delay.String()})
	}
	r := run{scale: scale{Rounds: 2, Probes: 6}, peers: peers{newPeer(self, nameTail), slowed}, log: t.Logf}
	var rows []row
	err = withSite(t.Context(), mongotest.Options{}, func(s *site) (err error) {
		rows, err = latencyAt(t.Context(), s, r, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	took := map[string]float64{}
	for _, one := range rows {
		if one.Metric == "latency" {
			took[one.Peer] = median(one.Values)
		}
	}
	t.Logf("medians in ms: %v", took)
	if took["slowed"] < took[nameTail]+float64(delay.Milliseconds())/2 {
		t.Errorf("the peer that waits %s has a latency of %.1f ms, without %.1f ms", delay, took["slowed"], took[nameTail])
	}
}
