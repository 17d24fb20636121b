package faults

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/mongotest"
)

// slack is how many MB constant memory use may vary by.
const slack = 10

// TestSinkAway makes the deployment of the queue unavailable under load: alternately paused and killed.
func TestSinkAway(t *testing.T) {
	t.Parallel()
	set := borrow(t)
	server := mongotest.NewStandalone(t, mongotest.Options{})
	s := newSceneOn(t, set, "DDLTAIL_SINK_URI="+server.URI())
	s.sink = mongotest.Connect(t, server.URI())
	p := s.begin()
	s.while(2000, 2001)
	for _, killed := range []bool{false, true} {
		before := memory(s, p, "VmRSS")
		if killed {
			s.must(server.Kill())
		} else {
			s.must(server.Pause())
		}
		time.Sleep(lasting(4*time.Second, time.Minute))
		during := memory(s, p, "VmRSS")
		if killed {
			s.must(server.Restart(t.Context()))
		} else {
			s.must(server.Resume())
		}
		s.while(1000, 2000)
		s.Logf("sink killed %t: resident memory %d MB before, %d MB at the end of the outage, %d MB after it",
			killed, before, during, memory(s, p, "VmRSS"))
		if during > before+slack {
			t.Errorf("resident memory rose from %d to %d MB", before, during)
		}
	}
	s.check()
}

// memory returns a figure of a process from /proc, in MB.
func memory(s *scene, p *ddltailtest.Process, figure string) int {
	s.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	s.must(err)
	found := regexp.MustCompile(figure + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		s.Fatalf("no %s in\n%s", figure, status)
	}
	kB, err := strconv.Atoi(string(found[1]))
	s.must(err)
	return kB >> 10
}

// TestQueueDropped drops the queue while ddltail runs: the history must be complete, no later notification may be missing in the
// queue, and the drop must be reported.
func TestQueueDropped(t *testing.T) {
	s := newScene(t)
	s.begin()
	s.while(1000, 2000)
	s.must(s.client.Database(database).Collection("schema_notifications").Drop(t.Context()))
	s.ledger.Acknowledged(dropOfOwn("notifications"))
	s.while(1000, 2000)
	s.check()
}

// dropOfOwn returns the drop of one of ddltail's own collections.
func dropOfOwn(name string) ledger.Effect {
	return ledger.Effect{Operation: "DROP_COLLECTION", NS: database + ".schema_" + name}
}
