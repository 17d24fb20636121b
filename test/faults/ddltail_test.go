package faults

import (
	"testing"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// killsPerRound results in 200 kills in 20 rounds.
const killsPerRound = 10

// TestNoFault checks load and ledger without a fault: every kind of change is made, and every doubtful effect (an abort of an
// index build that must fail has no acknowledgement) took place.
func TestNoFault(t *testing.T) {
	sinceFive(t)
	s := newScene(t)
	s.begin()
	s.load.WaitAllKinds()
	v := s.check()
	made := s.judged.Changes
	// On an overloaded machine an election can happen anyway.
	sameTerm := made[0].OpTime.Term == made[len(made)-1].OpTime.Term
	if sameTerm && v.Client.Doubtful != v.Client.Happened {
		t.Errorf("in doubt, with no fault: %s", v.Client)
	}
	kinds := map[string]int{}
	for _, c := range made {
		kinds[c.Operation]++
	}
	if len(kinds) != 13 {
		t.Errorf("some kinds of changes are missing: %v", kinds)
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

// TestThreeDdltailsKilledInTurn kills three detectors that write the same documents, one
// after the other.
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
