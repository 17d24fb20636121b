package members

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
)

// membersOf reads "a primary, b, c hidden, d hidden delayed".
func membersOf(text string) (all []replicaset.Member) {
	for part := range strings.SplitSeq(text, ", ") {
		words := strings.Fields(part)
		all = append(all, replicaset.Member{
			Host: words[0], Primary: strings.Contains(part, "primary"),
			Hidden: strings.Contains(part, "hidden"), Delayed: strings.Contains(part, "delayed"),
		})
	}
	return all
}

func hosts(all []replicaset.Member) string {
	var names []string
	for _, m := range all {
		names = append(names, m.Host)
	}
	return strings.Join(names, " ")
}

func TestPreferred(t *testing.T) {
	for _, c := range []struct {
		why, members, stalled string
		mode                  readpref.Mode
		want                  string
	}{
		{"the primary first", "a, b primary, c", "", readpref.PrimaryPreferredMode, "b a c"},
		{"a stalled primary last", "a, b primary, c", "b", readpref.PrimaryPreferredMode, "a c b"},
		{"a stalled secondary last", "a, b primary, c", "a", readpref.SecondaryMode, "c a"},
		{"one that stalled and left", "a, b primary, c", "x", readpref.SecondaryMode, "a c"},
		{"neither hidden nor delayed", "a hidden, b primary, c hidden delayed, d", "", readpref.SecondaryMode, "d"},
		{"none fits", "a hidden, b primary", "", readpref.SecondaryMode, ""},
	} {
		t.Run(c.why, func(t *testing.T) {
			chooser := &Chooser{ReadPreference: c.mode, stalledHost: c.stalled}
			got, err := chooser.preferred(replicaset.View{Members: membersOf(c.members)})
			if hosts(got) != c.want || (err != nil) != (c.want == "") {
				t.Errorf("got %q, %v; want %q", hosts(got), err, c.want)
			}
		})
	}
}

func TestByReserve(t *testing.T) {
	got := hosts(hiddenLast(membersOf("a hidden delayed, b hidden, c primary, d")))
	if want := "c d b a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBeforeBaseline(t *testing.T) {
	at := func(seconds uint32) oplog.OpTime { return oplog.OpTime{TS: bson.Timestamp{T: seconds}} }
	for _, c := range []struct {
		why                     string
		requested, baseline, at oplog.OpTime
		want                    bool
	}{
		{"no past START", oplog.OpTime{}, at(20), at(10), false},
		{"between START and baseline", at(5), at(20), at(10), true},
		{"at the baseline", at(5), at(20), at(20), false},
		{"after the baseline", at(5), at(20), at(30), false},
	} {
		t.Run(c.why, func(t *testing.T) {
			if got := (Position{RequestedStart: c.requested, Baseline: c.baseline}).BeforeBaseline(c.at); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// TestCheckOutsidePreference: the preferred members are tried again after a minute; a delayed member that lags has not stalled.
func TestCheckOutsidePreference(t *testing.T) {
	old := oplog.OpTime{TS: bson.Timestamp{T: 1}}
	chooser := &Chooser{nonPreferredSince: time.Now()}
	if err := chooser.Check(t.Context(), oplog.Member{Host: "a"}, old); err != nil {
		t.Errorf("at once: %v", err)
	}
	chooser.nonPreferredSince = time.Now().Add(-2 * retryPreferredAfter)
	if err := chooser.Check(t.Context(), oplog.Member{Host: "a"}, old); !errors.Is(err, oplog.ErrOutsidePreference) {
		t.Errorf("after two minutes: %v", err)
	}
	current := oplog.OpTime{TS: bson.Timestamp{T: uint32(time.Now().Unix())}}
	if err := (&Chooser{}).Check(t.Context(), oplog.Member{Host: "a"}, current); err != nil {
		t.Errorf("a current member: %v", err)
	}
}
