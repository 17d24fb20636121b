package actor

import (
	"strconv"
	"testing"
	"time"
)

func TestPending(t *testing.T) {
	outcomes := map[string]Outcome{"found": Found, "none": None, "unconfirmed": Unconfirmed, "ambiguous": Ambiguous}
	find := func(e Entry) (Actor, Outcome) { return Actor{User: e.NS}, outcomes[e.NS] }
	start := time.Unix(0, 0)
	var p Pending
	for name := range outcomes {
		p.Add("id of "+name, Entry{NS: name}, start)
	}
	found := p.Resolve(start.Add(maxWait-1), find)
	if len(found) != 1 || found[0].ID != "id of found" || found[0].Actor.User != "found" {
		t.Errorf("found %+v", found)
	}
	if p.Len() != 2 {
		t.Errorf("%d wait on, want those with none and unconfirmed", p.Len())
	}
	if found := p.Resolve(start.Add(maxWait), find); len(found) != 0 || p.Len() != 0 {
		t.Errorf("at the end of the wait: found %v, %d wait on", found, p.Len())
	}
}

func TestPendingBound(t *testing.T) {
	var p Pending
	for i := range maxPending {
		if !p.Add(strconv.Itoa(i), Entry{}, time.Time{}) {
			t.Fatalf("given up at %d", i)
		}
	}
	if p.Add("last", Entry{}, time.Time{}) || p.Len() != maxPending || p.waiting[0].id != "1" {
		t.Errorf("%d wait, the oldest is %s", p.Len(), p.waiting[0].id)
	}
}
