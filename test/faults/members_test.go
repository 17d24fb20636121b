package faults

import (
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/mongotest"
)

// TestStepDowns makes the primary hand over.
func TestStepDowns(t *testing.T) {
	s := newScene(t)
	s.begin()
	for range times() {
		stepDown(s)
		s.recovered()
	}
	s.check()
}

// stepDown asks again where no secondary kept up with the load.
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

// TestPrimaryKilled kills the primary, and starts it again when there may or may not be another.
func TestPrimaryKilled(t *testing.T) {
	s := newScene(t)
	s.begin()
	killMembers(s, s.primary)
}

// TestTailedMemberKilled kills the member that ddltail reads from, a secondary while there is one.
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

// TestTailedMemberRemoved takes the member that ddltail reads from out of the set's configuration, and puts it back.
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
		s.told("notifications", s.mark("without_it"))
		s.must(s.set.Reconfig(t.Context(), func(config bson.M) {
			members, _ := config["members"].(bson.A)
			config["members"] = append(members, removed...)
		}))
		s.recovered()
	}
	s.check()
}

// without parts the members that stay from the one that goes.
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

// TestMemberPaused stops members that keep their connections open and do not answer: the primary, and the one that is read from.
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

// TestAllKilled kills the whole set at once and starts it again.
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
