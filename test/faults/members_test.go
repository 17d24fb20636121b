package faults

import (
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/mongotest"
)

// TestStepDowns steps the primary down.
func TestStepDowns(t *testing.T) {
	s := newScene(t)
	s.begin()
	for range times() {
		stepDown(s)
		s.recovered()
	}
	s.check()
}

// stepDown steps the primary down, and retries if no secondary has caught up.
func stepDown(s *scene) {
	s.Helper()
	for end := time.Now().Add(patience); ; {
		_, err := s.set.StepDown(s.Context())
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.Fatal(err)
		}
	}
}

// TestPrimaryKilled kills the primary, and restarts it before or after an election.
func TestPrimaryKilled(t *testing.T) {
	s := newScene(t)
	s.begin()
	killMembers(s, s.primary)
}

// TestTailedMemberKilled kills the member that ddltail reads from, by default a secondary.
func TestTailedMemberKilled(t *testing.T) {
	s := newScene(t, "DDLTAIL_READ_PREFERENCE=secondaryPreferred")
	p := s.begin()
	killMembers(s, func() *mongotest.Member { return s.tailed(p) })
}

func killMembers(s *scene, which func() *mongotest.Member) {
	s.Helper()
	for range times() {
		m := which()
		s.must(m.Kill())
		s.while(200, 4000)
		s.restart(m)
		s.recovered()
	}
	s.check()
}

// TestTailedMemberRemoved removes the member that ddltail reads from from the set's configuration, and adds it
// again.
func TestTailedMemberRemoved(t *testing.T) {
	s := newScene(t, "DDLTAIL_READ_PREFERENCE=secondary")
	p := s.begin()
	for range max(1, times()/4) {
		tailed := s.tailed(p).Addr()
		var removed bson.A
		s.must(s.set.Reconfig(t.Context(), func(config bson.M) {
			members, _ := config["members"].(bson.A)
			config["members"], removed = without(members, tailed)
		}))
		s.published("notifications", s.mark("without_it"))
		s.must(s.set.Reconfig(t.Context(), func(config bson.M) {
			members, _ := config["members"].(bson.A)
			config["members"] = append(members, removed...)
		}))
		s.recovered()
	}
	s.check()
}

// without splits the members into those that stay and the removed one.
func without(members bson.A, host string) (stay, gone bson.A) {
	for _, m := range members {
		if member, _ := m.(bson.M); member["host"] == host {
			gone = append(gone, m)
		} else {
			stay = append(stay, m)
		}
	}
	return stay, gone
}

// TestMemberPaused pauses (SIGSTOP) the primary and the member that ddltail reads from: their connections stay open and do not
// reply.
func TestMemberPaused(t *testing.T) {
	s := newScene(t, "DDLTAIL_READ_PREFERENCE=secondaryPreferred")
	p := s.begin()
	for range max(1, times()/5) {
		for _, member := range []interface {
			Pause() error
			Resume() error
		}{s.primary(), s.tailed(p)} {
			s.must(member.Pause())
			time.Sleep(lasting(3*time.Second, 40*time.Second))
			s.must(member.Resume())
			s.recovered()
		}
	}
	s.check()
}

// TestAllKilled kills all members at once and restarts them.
func TestAllKilled(t *testing.T) {
	s := newScene(t)
	s.begin()
	for range max(1, times()/2) {
		for _, m := range s.set.Members() {
			s.must(m.Kill())
		}
		s.while(100, 1500)
		for _, m := range s.set.Members() {
			s.restart(m)
		}
		s.recovered()
	}
	s.check()
}
