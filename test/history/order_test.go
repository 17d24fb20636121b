package history

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// withClock sets the wall clock of a change to another time than that of its oplog entry.
func withClock(doc bson.D, wall float64) bson.D {
	for i, el := range doc {
		switch el.Key {
		case "timestamp":
			doc[i].Value = float64(at(wall).UnixMilli()) / 1000
		case "wall":
			doc[i].Value = at(wall)
		}
	}
	return doc
}

// setBack returns a history in which the clock is an hour ahead between the seconds 20 and
// 30 of the oplog, with a gap and a comparison.
func setBack(t *testing.T) archive {
	a := newArchive(t)
	a.insert("schema_history",
		published("rs0", 10, "CREATE_COLLECTION", "bank", "a"),
		withClock(published("rs0", 20, "CREATE_COLLECTION", "bank", "b"), 3620),
		withClock(published("rs0", 30, "RENAME_COLLECTION", "bank", "b", bson.E{Key: "to", Value: "bank.c"}), 3630),
		published("rs0", 40, "DROP_COLLECTION", "bank", "c"),
		gap("rs0", 45, 50), inferred("rs0", 45, 50, 0, "CREATE_COLLECTION", "bank", "found"),
		published("rs0", 50, "DROP_COLLECTION", "bank", "found"),
		// The entry at which reading resumes after the gap: its _id has the gap's timestamp.
		withID(published("rs0", 50, "CREATE_INDEX", "bank", "found"), "rs0:1780000050:0000000005:000000"),
		published("rs0", 60, "CREATE_COLLECTION", "bank", "d"),
		// A comparison without a gap includes the entry with its timestamp.
		withID(published("rs0", 70, "CREATE_COLLECTION", "bank", "e"), "rs0:1780000070:0000000005:000000"),
		inferred("rs0", 60, 70, 0, "CREATE_INDEX", "bank", "e"),
	)
	a.insert("schema_catalog",
		version("rs0", 10, 1, "bank.a", bson.D{}),
		withClock(version("rs0", 20, 1, "bank.b", bson.D{}), 3620),
		withClock(version("rs0", 30, 1, "bank.b", nil), 3630),
		withClock(version("rs0", 30, 1, "bank.c", bson.D{}), 3630),
		version("rs0", 40, 1, "bank.c", nil),
		version("rs0", 60, 1, "bank.d", bson.D{}),
	)
	a.insert("schema_checkpoints", checkpoint("rs0", 5, 100))
	return a
}

func withID(doc bson.D, id string) bson.D {
	doc[0].Value = id
	return doc
}

// places returns the oplog second, kind and namespace of each selected change.
func (a archive) places(args ...string) []string {
	a.Helper()
	out := []string{}
	for line := range strings.Lines(a.ask(append(args, "--format", "json")...)) {
		var doc struct {
			ID        string `json:"_id"`
			Operation string `json:"operation"`
		}
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			a.Fatal(err)
		}
		parts := strings.Split(strings.TrimPrefix(doc.ID, "rs0:"), ":")
		seconds := parts[0]
		if len(seconds) < 10 {
			seconds = parts[1]
		}
		out = append(out, strings.TrimPrefix(seconds, "17800000")+" "+doc.Operation)
	}
	return out
}

func TestOplogOrder(t *testing.T) {
	a := setBack(t)
	all := []string{
		"10 CREATE_COLLECTION", "20 CREATE_COLLECTION", "30 RENAME_COLLECTION", "40 DROP_COLLECTION",
		"50 DROP_COLLECTION", "50 HISTORY_GAP", "50 CREATE_COLLECTION", "50 CREATE_INDEX", "60 CREATE_COLLECTION", "70 CREATE_COLLECTION", "70 CREATE_INDEX",
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, all},
		{[]string{"--ns", "bank.*"}, all},
		{[]string{"--ns", "bank.c"}, []string{"30 RENAME_COLLECTION", "40 DROP_COLLECTION", "50 HISTORY_GAP"}},
		{[]string{"--operation", "CREATE_INDEX"}, []string{"50 HISTORY_GAP", "50 CREATE_INDEX", "70 CREATE_INDEX"}},
		{[]string{"--limit", "3"}, all[8:]},
		{[]string{"--limit", "6"}, all[5:]},
		{[]string{"--limit", "1", "--ns", "bank.c"}, []string{"50 HISTORY_GAP"}},
		{[]string{"--until", rfc(15)}, all[:1]},
		// The change at 20 is the first whose time is later.
		{[]string{"--until", rfc(60)}, all[:1]},
		{[]string{"--until", rfc(3620)}, all[:2]},
		{[]string{"--until", rfc(4000)}, all},
		{[]string{"--since", rfc(60)}, []string{all[1], all[2], all[8], all[9], all[10]}},
		{[]string{"--since", rfc(60), "--until", rfc(65)}, []string{}},
	} {
		if got := a.places(c.args...); !slices.Equal(got, c.want) {
			t.Errorf("%q:\n%q\nwant\n%q", c.args, got, c.want)
		}
	}
}

// TestTimeEndsAtTheClock checks that an output has a note if it ends before changes with
// earlier times, and otherwise none.
func TestTimeEndsAtTheClock(t *testing.T) {
	a := setBack(t)
	for _, c := range []struct {
		args []string
		said bool
	}{
		{[]string{"--until", rfc(60)}, true}, {[]string{"--until", rfc(15)}, false}, {[]string{"--until", rfc(4000)}, false},
		{[]string{"--as-of", rfc(60)}, true}, {[]string{"--as-of", rfc(15)}, false}, {[]string{"--as-of", rfc(4000)}, false},
		{[]string{"diff", rfc(15), rfc(60)}, true}, {nil, false},
	} {
		if out := a.ask(c.args...); strings.Contains(out, "clock of rs0 was set back") != c.said {
			t.Errorf("%q:\n%s", c.args, out)
		}
	}
	for args, want := range map[string]string{rfc(15): "a", rfc(60): "a", rfc(3625): "a b", rfc(3630): "a d", rfc(4000): "a d"} {
		var names []string
		for line := range strings.Lines(a.ask("--as-of", args, "--format", "json")) {
			var doc struct{ Collection string }
			if err := json.Unmarshal([]byte(line), &doc); err != nil {
				t.Fatal(err)
			}
			names = append(names, doc.Collection)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("as of %s: %q, want %q", args, got, want)
		}
	}
	// b was created, renamed and dropped between the two times, all with clock times before
	// 3625.
	contains(t, a.ask("diff", rfc(15), rfc(3625)), "bank.b")
	contains(t, a.ask("diff", rfc(3625), rfc(4000)), "bank.b", "bank.d")
}
