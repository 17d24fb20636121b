package recovery_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/recovery"
)

// values reads a case's KEY=VALUE pairs.
func (c textCase) values(t *testing.T, known ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, word := range strings.Fields(strings.Join(c.lines, " ")) {
		key, value, ok := strings.Cut(word, "=")
		if !ok || !strings.Contains(" "+strings.Join(known, " ")+" ", " "+key+" ") {
			t.Fatalf("%q is not one of %v", word, known)
		}
		out[key] = value
	}
	return out
}

// moment reads seconds; zero for none.
func moment(t *testing.T, seconds string) oplog.Moment {
	t.Helper()
	if seconds == "" {
		return oplog.Moment{}
	}
	n, err := strconv.ParseUint(seconds, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return oplog.Moment{OpTime: optime(uint32(n))}
}

func describe(r recovery.Resume) string {
	if r.Inclusive {
		return fmt.Sprintf("%d+", r.At.TS.T)
	}
	return strconv.Itoa(int(r.At.TS.T))
}

func TestFirstPosition(t *testing.T) {
	for _, c := range readCases(t, "testdata/first.txt") {
		t.Run(c.name, func(t *testing.T) {
			v := c.values(t, "start", "oldest", "head", "first-since")
			requested := recovery.Requested{Oldest: v["start"] == "oldest"}
			if seconds, err := strconv.Atoi(v["start"]); err == nil {
				requested.At = time.Unix(int64(seconds), 0)
			}
			ends := recovery.Ends{Oldest: moment(t, v["oldest"]), Head: moment(t, v["head"]), FirstSince: moment(t, v["first-since"])}
			if got := describe(recovery.FirstPosition(requested, ends)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestPresumedPosition(t *testing.T) {
	for _, c := range readCases(t, "testdata/presumed.txt") {
		t.Run(c.name, func(t *testing.T) {
			v := c.values(t, "other-names", "catalog", "published", "first-behind")
			at, lost := recovery.PresumedPosition(recovery.Stored{
				OtherNames: v["other-names"] == "yes", Catalog: moment(t, v["catalog"]),
				Published: moment(t, v["published"]), FirstBehind: moment(t, v["first-behind"]),
			})
			got := "first run"
			if lost {
				got = describe(at)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
