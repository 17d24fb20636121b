package faults

import (
	"testing"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// killsPerRound makes 200 of 20 rounds.
const killsPerRound = 10

// TestNoFault shows that load and books are right where nothing is broken: there is every kind of change, and nothing that was in
// doubt (the aborts of builds that had to fail, which nobody acknowledges) did not happen.
func TestNoFault(t *testing.T) {
	sinceFive(t)
	s := newScene(t)
	s.begin()
	s.load.WaitWhole()
	v := s.check()
	made := s.judged.Changes
	// On a machine with too much to do, a primary may be thought dead all the same.
	sameTerm := made[0].OpTime.Term == made[len(made)-1].OpTime.Term
	if sameTerm && v.Client.Doubtful != v.Client.Happened {
		t.Errorf("in doubt, with no fault: %s", v.Client)
	}
	kinds := map[string]int{}
	for _, c := range made {
		kinds[c.Operation]++
	}
	if len(kinds) != 13 {
		t.Errorf("not every kind of change is there: %v", kinds)
	}
}

// TestDdltailKilled kills ddltail at random moments, also while it starts.
func TestDdltailKilled(t *testing.T) {
	s := newScene(t)
	p := s.begin()
	for range killsPerRound * times() {
		s.while(50, 900)
		s.kill(p)
		p = s.run()
	}
	s.check()
}

// TestThreeDdltailsKilledInTurn lets three write the same documents.
func TestThreeDdltailsKilledInTurn(t *testing.T) {
	s := newScene(t, "DDLTAIL_READ_PREFERENCE=nearest")
	three := []*ddltailtest.Process{s.begin(), s.run(), s.run()}
	for i := range 3 * 2 * times() {
		s.while(50, 900)
		s.kill(three[i%3])
		three[i%3] = s.run()
	}
	s.check()
}
