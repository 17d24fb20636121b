package history

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// withGap returns a catalog with a baseline at second 10, a gap from 50 to 60, and a
// position at 100.
func withGap(t *testing.T) archive {
	a := newArchive(t)
	capped := bson.D{{Key: "capped", Value: true}, {Key: "size", Value: int32(4096)}}
	a.insert("schema_catalog",
		version("rs0", 10, 1, "bank.listed", bson.D{}),
		version("rs0", 20, 1, "bank.made", bson.D{}),
		version("rs0", 30, 1, "bank.made", nil),
		version("rs0", 40, 1, "bank.kept", bson.D{}),
		// The versions from the comparison are just before the gap's end.
		version("rs0", 60, 4, "bank.found", bson.D{}),
		version("rs0", 60, 4, "bank.kept", capped),
		version("rs0", 70, 1, "bank.listed", nil),
	)
	a.insert("schema_history", published("rs0", 20, "CREATE_COLLECTION", "bank", "made"), published("rs0", 30, "DROP_COLLECTION", "bank", "made"),
		published("rs0", 40, "CREATE_COLLECTION", "bank", "kept"), gap("rs0", 50, 60),
		inferred("rs0", 50, 60, 0, "CREATE_COLLECTION", "bank", "found"), published("rs0", 70, "DROP_COLLECTION", "bank", "listed"))
	a.insert("schema_checkpoints", checkpoint("rs0", 10, 100))
	return a
}

func TestAsOf(t *testing.T) {
	a := withGap(t)
	for _, c := range []struct {
		at   float64
		want string
	}{
		{5, ""}, {10, "listed"}, {19.999, "listed"}, {20, "listed made"}, {29.999, "listed made"}, {30, "listed"}, {40, "kept listed"},
		{59.999, "kept listed"}, {60, "found kept listed"}, {70, "found kept"}, {100, "found kept"},
	} {
		var names []string
		for line := range strings.Lines(a.ask("--as-of", rfc(c.at), "--format", "json")) {
			var doc struct{ Collection string }
			if err := bson.UnmarshalExtJSON([]byte(line), false, &doc); err != nil {
				t.Fatal(err)
			}
			names = append(names, doc.Collection)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("at %v: %q, want %q", c.at, got, c.want)
		}
	}
	contains(t, a.ask("--as-of", rfc(45), "--ns", "*.kept"), "bank.kept")
	containsNot(t, a.ask("--as-of", rfc(45), "--ns", "*.kept"), "bank.listed", "between", "first listed")
}

// TestGapIsSaid checks the notes for times and intervals that a gap affects.
func TestGapIsSaid(t *testing.T) {
	a := withGap(t)
	from, to := stamp(50), stamp(60)
	lost := "between " + from + " and " + to
	for _, args := range [][]string{
		{"--as-of", rfc(55)}, {"--as-of", rfc(60)}, {"--as-of", rfc(100)}, {"--as-of", rfc(55), "--format", "mongosh"},
		{"--as-of", rfc(100), "--format", "mongosh"},
		{"diff", rfc(45), rfc(65)}, {"diff", rfc(45), rfc(55)}, {"diff", rfc(45), rfc(65), "--format", "mongosh"},
		{"--since", rfc(40)}, {"--since", rfc(52), "--until", rfc(53)}, {"show", "gap:1780000060:5"}, {"show", "snapshot:1780000060:5:0"},
		{"--ns", "bank.kept"},
	} {
		contains(t, a.ask(args...), lost)
	}
	for _, args := range [][]string{{"--as-of", rfc(45)}, {"--until", rfc(45)}, {"--since", rfc(65)}, {"diff", rfc(65), rfc(75)}, {"diff", rfc(15), rfc(45)}} {
		containsNot(t, a.ask(args...), lost)
	}
	for _, args := range [][]string{{"history", "--as-of", rfc(55), "--format", "json"}, {"history", "--since", rfc(52), "--until", rfc(53), "--format", "csv"}} {
		_, stderr, _ := command{args, a.variables}.run(t)
		contains(t, stderr, lost)
	}
	contains(t, a.ask("--as-of", rfc(60), "--ns", "bank.found", "--format", "json"), `"inferred":{"from":{"$date":"`+at(50).Format("2006-01-02T15:04:05Z"))
	contains(t, a.ask("--as-of", rfc(5)), "first listed at "+stamp(10))
	contains(t, a.ask("--as-of", rfc(10.5)), "within the second "+stamp(10))
	contains(t, a.ask("--as-of", rfc(170)), "read only up to "+stamp(100))
}

func TestDiff(t *testing.T) {
	a := withGap(t)
	out := a.ask("diff", rfc(45), rfc(75))
	contains(t, out, "bank.found: created", "bank.listed: dropped", "bank.kept: changed", "> capped: true")
	containsNot(t, out, "bank.made")
	kept := a.ask("diff", rfc(45), rfc(75), "--format", "mongosh")
	contains(t, kept, "// NOT DROPPED: 'bank.listed' does not exist in the target schema;", "NOT COMPLETE: 1 difference")
	containsNot(t, kept, "drop()")
	script := a.ask("diff", rfc(45), rfc(75), "--format", "mongosh", "--allow-destructive")
	contains(t, script, "READ BEFORE RUNNING: documents are deleted by 2 statements below", "DATA IS LOST: 'bank.listed' is dropped",
		"DATA MAY BE LOST: 'bank.kept' keeps only the documents that fit its new size")
	contains(t, a.ask("diff", rfc(80), rfc(90)), "no difference")
	containsNot(t, a.ask("diff", rfc(80), rfc(90), "--format", "mongosh"), "DATA", "db.")
}

func TestSeveralSources(t *testing.T) {
	a := withGap(t)
	a.insert("schema_catalog", version("rs1", 20, 1, "other.x", bson.D{}))
	contains(t, a.ask("--as-of", rfc(45)), "source rs0", "source rs1", "other.x", "bank.kept")
	containsNot(t, a.ask("--as-of", rfc(45), "--source", "rs1"), "bank.kept")
	_, stderr, code := command{[]string{"history", "diff", rfc(45), rfc(75)}, a.variables}.run(t)
	if code != 2 {
		t.Errorf("exit %d", code)
	}
	contains(t, stderr, "--source", "rs1")
	contains(t, a.ask("diff", rfc(15), rfc(45), "--source", "rs1"), "other.x: created")
}
