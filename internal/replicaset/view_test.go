package replicaset

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

// answer is what a host answered.
func answer(t *testing.T, host, text string) hello {
	t.Helper()
	h := parse(t, text)
	h.Host = host
	return h
}

// TestCandidates checks which members are tried, in which order, by the read preference. A
// member is its name, its ping in milliseconds and what it is.
func TestCandidates(t *testing.T) {
	const set = "a 9 primary, b 5, c 2, hidden 1 hidden, late 1 delayed"
	for _, c := range []struct {
		mode readpref.Mode
		set  string
		want string
	}{
		{readpref.PrimaryMode, set, "a"},
		{readpref.PrimaryPreferredMode, set, "a c b"},
		{readpref.SecondaryMode, set, "c b"},
		{readpref.SecondaryPreferredMode, set, "c b a"},
		{readpref.NearestMode, set, "c b a"},
		// The default where no mode is set.
		{0, set, "a c b"},
		{readpref.NearestMode, "a 1, b 1, c 1", "a b c"},
		// Without a primary.
		{readpref.PrimaryMode, "b 5, c 2", ""},
		{readpref.PrimaryPreferredMode, "b 5, c 2", "c b"},
		// The primary alone.
		{readpref.SecondaryMode, "a 9 primary, hidden 1 hidden", ""},
		{readpref.SecondaryPreferredMode, "a 9 primary, late 1 delayed", "a"},
		// Hidden and delayed members alone, one of them both.
		{readpref.NearestMode, "hidden 1 hidden, late 1 delayed, both 1 hidden delayed", ""},
		{readpref.NearestMode, "", ""},
		// A direct connection shows one member, which is used whatever it is.
		{readpref.PrimaryPreferredMode, "direct: hidden 1 hidden", "hidden"},
		{readpref.SecondaryMode, "direct: late 1 delayed", "late"},
		{readpref.PrimaryMode, "direct: b 1", ""},
	} {
		var got []string
		for _, m := range viewOf(t, c.set).Candidates(c.mode) {
			got = append(got, m.Host)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v of %q: got %q, want %q", c.mode, c.set, got, c.want)
		}
	}
}

// viewOf parses a set of TestCandidates.
func viewOf(t *testing.T, text string) View {
	t.Helper()
	members, direct := strings.CutPrefix(text, "direct: ")
	v := View{Direct: direct}
	for member := range strings.SplitSeq(members, ", ") {
		f := strings.Fields(member)
		if len(f) < 2 {
			continue
		}
		ping, err := strconv.Atoi(f[1])
		if err != nil {
			t.Fatal(err)
		}
		v.Members = append(v.Members, Member{
			Host: f[0], Ping: time.Duration(ping) * time.Millisecond,
			Primary: slices.Contains(f, "primary"), Hidden: slices.Contains(f[2:], "hidden"), Delayed: slices.Contains(f, "delayed"),
		})
	}
	return v
}

// TestNewView checks what the view shows of what members answered.
func TestNewView(t *testing.T) {
	answers := []hello{
		answer(t, "hidden:1", `{"setName": "rs0", "secondary": true, "hidden": true, "primary": "a:1", "me": "hidden:1"}`),
		answer(t, "late:1", `{"setName": "rs0", "secondary": true, "passive": true, "secondaryDelaySecs": 60, "me": "late:1"}`),
		answer(t, "late44:1", `{"setName": "rs0", "secondary": true, "passive": true, "slaveDelay": 60, "me": "late44:1"}`),
		answer(t, "b:1", `{"setName": "rs0", "secondary": true, "me": "b:1"}`),
		answer(t, "arbiter:1", `{"setName": "rs0", "arbiterOnly": true, "me": "arbiter:1"}`),
		answer(t, "new:1", `{"setName": "rs0", "me": "new:1"}`),
	}
	v := newView("rs0", answers, nil, false)
	var got []string
	for _, m := range v.Members {
		got = append(got, fmt.Sprint(m.Host, m.Hidden, m.Delayed))
	}
	if want := "b:1false false hidden:1true false late44:1false true late:1false true"; strings.Join(got, " ") != want {
		t.Errorf("members %q, want %q", got, want)
	}
	if len(v.Unreachable) != 1 || v.Unreachable["new:1"] == nil {
		t.Errorf("unreachable %v, want new:1", v.Unreachable)
	}
	if v := newView("rs0", answers[:1], nil, true); !v.HasPrimary() {
		t.Error("the member names a primary, and none is seen")
	}
	if v := newView("rs0", answers[:1], nil, false); v.HasPrimary() {
		t.Error("a primary that cannot be reached is seen")
	}
	if v := newView("rs0", answers[1:2], nil, true); v.HasPrimary() {
		t.Error("no primary is named, and one is seen")
	}
}

// TestCanonical checks under which name a member is connected to.
func TestCanonical(t *testing.T) {
	const pod0, pod1 = `{"setName": "rs0", "secondary": true, "me": "pod-0:1"}`, `{"setName": "rs0", "secondary": true, "me": "pod-1:1"}`
	down := errors.New("down")
	for _, c := range []struct {
		name        string
		answers     []hello
		errs        map[string]error
		members     string
		unreachable string
	}{
		{"a service's name leads to any member", []hello{answer(t, "svc:1", pod0), answer(t, "pod-0:1", pod0), answer(t, "pod-1:1", pod1)}, nil, "pod-0:1 pod-1:1", ""},
		{
			"the members' own names do not resolve here", []hello{answer(t, "localhost:1", pod0)},
			map[string]error{"pod-0:1": down, "pod-1:1": down}, "localhost:1", "pod-1:1",
		},
		{"two spellings of one member", []hello{answer(t, "a:1", pod0), answer(t, "b:1", pod0)}, map[string]error{"pod-0:1": down}, "a:1", ""},
		{"a seed that is down", []hello{answer(t, "pod-1:1", pod1)}, map[string]error{"svc:1": down}, "pod-1:1", "svc:1"},
	} {
		if c.errs == nil {
			c.errs = map[string]error{}
		}
		v := newView("rs0", canonical(c.answers, c.errs), c.errs, false)
		var members, unreachable []string
		for _, m := range v.Members {
			members = append(members, m.Host)
		}
		for host := range v.Unreachable {
			unreachable = append(unreachable, host)
		}
		if strings.Join(members, " ") != c.members || strings.Join(unreachable, " ") != c.unreachable {
			t.Errorf("%s: members %q, unreachable %q", c.name, members, unreachable)
		}
	}
}

// TestKnown checks which members are remembered, round by round.
func TestKnown(t *testing.T) {
	var k Known
	k.Restore([]string{"old:1"})
	for _, c := range []struct{ name, hello, want string }{
		{"another set", `{"setName": "rs1", "isWritablePrimary": true, "setVersion": 9, "hosts": ["x:1"]}`, "old:1"},
		{"a secondary", `{"setName": "rs0", "secondary": true, "setVersion": 2, "hosts": ["b:1", "a:1"], "passives": ["c:1"]}`, "a:1 b:1 c:1"},
		{"a member left", `{"setName": "rs0", "isWritablePrimary": true, "setVersion": 3, "hosts": ["a:1", "b:1"]}`, "a:1 b:1"},
		{"a member cut off knows an older configuration", `{"setName": "rs0", "secondary": true, "setVersion": 2, "hosts": ["a:1", "b:1", "c:1"]}`, "a:1 b:1"},
		{"a recreated set begins anew", `{"setName": "rs0", "isWritablePrimary": true, "setVersion": 1, "hosts": ["a:1"]}`, "a:1"},
		{"an answer without members", `{"setName": "rs0", "secondary": true, "setVersion": 5}`, "a:1"},
	} {
		k.learn("rs0", []hello{answer(t, "a:1", c.hello)})
		if got := strings.Join(k.Hosts(), " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	s := Seeds{Hosts: []string{"svc:1", "a:1"}, Known: &k}
	if got := strings.Join(s.hosts(), " "); got != "svc:1 a:1" {
		t.Errorf("asked %q", got)
	}
	s.Direct, s.Hosts = true, []string{"svc:1"}
	if got := strings.Join(s.hosts(), " "); got != "svc:1" {
		t.Errorf("asked %q, want the one host alone", got)
	}
	errs := map[string]error{"svc:1": nil, "left:1": nil, "a:1": nil}
	s.forgetLeft(errs)
	if _, ok := errs["left:1"]; ok || len(errs) != 2 {
		t.Errorf("after a member left: %v", errs)
	}
}

// TestSetName checks which answer decides.
func TestSetName(t *testing.T) {
	member, other := answer(t, "b:1", `{"setName": "rs0"}`), answer(t, "a:1", `{"setName": "rs1"}`)
	for _, c := range []struct {
		asked   string
		answers []hello
		want    string
	}{
		{"rs0", []hello{other, member}, "rs0"},
		{"rs0", []hello{other}, ""},
		{"", []hello{other, member}, "rs1"},
	} {
		opts := options.Client()
		if c.asked != "" {
			opts.SetReplicaSet(c.asked)
		}
		got, err := Seeds{Options: opts}.setName(nil, c.answers, nil)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("asked for %q: got %q, %v", c.asked, got, err)
		}
	}
}

// TestHidden checks by which name a hidden member is asked, with split horizons.
func TestHidden(t *testing.T) {
	var c configuration
	text := `{"members": [{"host": "a:1", "horizons": {"out": "a.example:1"}}, {"host": "h:1", "hidden": true, "horizons": {"out": "h.example:1"}},
		{"host": "i:1", "hidden": true}]}`
	if err := bson.UnmarshalExtJSON([]byte(text), false, &c); err != nil {
		t.Fatal(err)
	}
	for known, want := range map[string]string{"a:1": "h:1 i:1", "a.example:1": "h.example:1 i:1"} {
		if got := strings.Join(c.hidden(func(host string) bool { return host == known }), " "); got != want {
			t.Errorf("%s answered: got %q, want %q", known, got, want)
		}
	}
}
