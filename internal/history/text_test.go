package history

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ddltail/ddltail/internal/notification"
)

func TestParseMoment(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"now":                            now,
		"2h":                             now.Add(-2 * time.Hour),
		"1h30m":                          now.Add(-90 * time.Minute),
		"90s":                            now.Add(-90 * time.Second),
		"1d":                             now.Add(-24 * time.Hour),
		"0.5d":                           now.Add(-12 * time.Hour),
		"2w":                             now.Add(-14 * 24 * time.Hour),
		"2026-11-24T11:59:59.123Z":       now.Add(-877 * time.Millisecond),
		"2026-11-24T13:00:00.5+01:00":    now.Add(500 * time.Millisecond),
		"2026-11-24T11:59:59.123456789Z": time.Date(2026, 11, 24, 11, 59, 59, 123456789, time.UTC),
	} {
		if got, err := ParseMoment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	local := time.Date(2026, 11, 24, 9, 8, 7, 0, time.Local)
	if got, err := ParseMoment(stamp(local), now); err != nil || !got.Equal(local) {
		t.Errorf("a time as the tables show it: %v, %v", got, err)
	}
	for _, text := range []string{"", "yesterday", "-2h", "2", "2y", "d", "-1d", "NaNd", "2026-11-24", "1e300d"} {
		if got, err := ParseMoment(text, now); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestShortID(t *testing.T) {
	for id, want := range map[string]string{
		"rs0:1795479993:0000000001:000000":          "1795479993:1",
		"rs0:1795479993:0000000001:000002":          "1795479993:1:2",
		"rs0:gap:1795479993:0000000000":             "gap:1795479993:0",
		"rs0:snapshot:1795479993:0000000010:000000": "snapshot:1795479993:10:0",
	} {
		if got := (Change{ID: id}).ShortID(false); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
		if got := (Change{ID: id}).ShortID(true); got != "rs0:"+want {
			t.Errorf("%s with its source: %s", id, got)
		}
	}
}

func TestShort(t *testing.T) {
	const db, coll = "db.getSiblingDB('d')", "db.getSiblingDB('d').getCollection('c')"
	for mongosh, want := range map[string]string{
		db + ".createCollection('c')":                         "",
		db + ".createCollection('c', {capped: true})":         "{capped: true}",
		coll + ".createIndex({a: 1}, {name: 'a_1'})":          "{a: 1}, {name: 'a_1'}",
		coll + ".dropIndex('a_1')":                            "'a_1'",
		coll + ".renameCollection('e')":                       "to 'e'",
		coll + ".drop()":                                      "",
		db + ".runCommand({collMod: 'c', validator: {}})":     "{validator: {}}",
		db + ".runCommand({createIndexes: 'c', indexes: []})": "runCommand({createIndexes: 'c', indexes: []})",
		coll + ".drop(); " + db + ".createCollection('c')":    "drop(); " + db + ".createCollection('c')",
	} {
		c := Change{Database: "d", Collection: "c", Operation: notification.CreateCollection, Mongosh: mongosh}
		if got := c.Short(); got != want {
			t.Errorf("%s: %q, want %q", mongosh, got, want)
		}
	}
}

// TestCompareLines sees that a comparison holds both texts, and no more in common than
// is on one line.
func TestCompareLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SampledFrom([]string{"a", "b", "c"})
		left := rapid.SliceOfN(line, 0, 12).Draw(t, "left")
		right := rapid.SliceOfN(line, 0, 12).Draw(t, "right")
		var l, r []string
		for _, row := range compareLines(left, right) {
			if row.hasLeft {
				l = append(l, row.left)
			}
			if row.hasRight {
				r = append(r, row.right)
			}
			if !row.hasLeft && !row.hasRight {
				t.Fatal("an empty row")
			}
		}
		if strings.Join(l, " ") != strings.Join(left, " ") || strings.Join(r, " ") != strings.Join(right, " ") {
			t.Fatalf("%v and %v become %v and %v", left, right, l, r)
		}
	})
	if rows := compareLines([]string{"a", "b", "c"}, []string{"a", "x", "c"}); len(rows) != 3 || !rows[0].same() || rows[1].same() || !rows[2].same() {
		t.Errorf("got %+v", rows)
	}
}
