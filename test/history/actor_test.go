package history

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"unicode"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// by returns the field actor of a notification.
func by(user, app string, exact bool) bson.E {
	return bson.E{Key: "actor", Value: bson.D{{Key: "user", Value: user}, {Key: "app", Value: app}, {Key: "evidence", Value: "log"}, {Key: "exact", Value: exact}}}
}

// acted returns an archive whose changes have actors in the document, in schema_actors, or
// none.
func acted(t *testing.T) archive {
	a := newArchive(t)
	a.insert("schema_history",
		published("rs0", 1, "CREATE_COLLECTION", "bank", "a", by("ann@admin", "migrations", true)),
		published("rs0", 2, "CREATE_COLLECTION", "bank", "b", by("bob@admin", "=cmd|' /C calc'!A0", true)),
		published("rs0", 3, "CREATE_COLLECTION", "bank", "c"),
		published("rs0", 4, "CREATE_COLLECTION", "bank", "d"),
		published("rs0", 5, "MODIFY_COLLECTION", "bank", "e", by("b@\x1b[31mü\n@shop", "a\nb\u202e", false)),
		published("rs0", 6, "DROP_COLLECTION", "bank", "f", bson.E{Key: "actor", Value: bson.D{
			{Key: "users", Value: bson.A{"ann@admin", "cy@shop"}}, {Key: "evidence", Value: "log"}, {Key: "exact", Value: true}}}),
		published("rs0", 7, "UNKNOWN_COMMAND", "bank", ""),
	)
	late := bson.D{{Key: "_id", Value: "rs0:1780000003:0000000001:000000"}, {Key: "source", Value: "rs0"}, by("ann@admin", "late", true)}
	// An actor in schema_actors does not replace that of a notification.
	other := bson.D{{Key: "_id", Value: "rs0:1780000001:0000000001:000000"}, {Key: "source", Value: "rs0"}, by("eve@admin", "other", true)}
	a.insert("schema_actors", late, other)
	a.insert("schema_catalog", version("rs0", 1, 1, "bank.a", bson.D{}))
	return a
}

func TestActors(t *testing.T) {
	a := acted(t)
	for _, c := range []struct {
		args []string
		want []int
	}{
		{[]string{"--user", "ann@admin"}, []int{1, 3, 6, 7}},
		{[]string{"--user", "*@admin"}, []int{1, 2, 3, 6, 7}},
		{[]string{"--user", "!ann@admin"}, []int{2, 4, 5, 6, 7}}, // any of several users may have made the change
		{[]string{"--user", "*@admin", "--user", "!bob@*"}, []int{1, 3, 6, 7}},
		{[]string{"--user", "eve@admin"}, []int{7}},
		{[]string{"--app", "late"}, []int{3, 7}},
		{[]string{"--app", "!migrations"}, []int{2, 3, 4, 5, 6, 7}},
		{[]string{"--user", "ann@admin", "--app", "migrations"}, []int{1, 7}},
		{[]string{"--user", "ann@admin", "--limit", "3"}, []int{3, 6, 7}},
		{[]string{"--user", "ann@admin", "--operation", "CREATE_COLLECTION", "--limit", "2"}, []int{3, 7}},
		{[]string{"--user", "ann@admin", "--ns", "bank.c"}, []int{3, 7}},
	} {
		got := a.ids(c.args...)
		if !slices.Equal(got, c.want) {
			t.Errorf("%q gives %v, want %v", c.args, got, c.want)
		}
	}
	contains(t, a.ask(), "ACTOR", "ann@admin (migrations)", "ann@admin (late)", `b@\u001b[31mü\n@shop?`, "ann@admin or cy@shop")
	contains(t, a.ask("show", "rs0:1780000003:1"), "ann@admin, application late, evidence log")
	contains(t, a.ask("show", "rs0:1780000005:1"), "matched by name and time only; may be wrong")
	contains(t, a.ask("--format", "json"), `"app":"late"`)
	containsNot(t, a.ask("--format", "json"), "eve@admin")
}

// TestActorsEscaped checks that an application name cannot control a terminal or a spreadsheet.
func TestActorsEscaped(t *testing.T) {
	a := acted(t)
	for _, args := range [][]string{{}, {"--wide"}, {"--format", "json"}, {"--format", "csv"}, {"show", "rs0:1780000005:1"}} {
		for _, r := range a.ask(args...) {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%v prints %U", args, r)
			}
		}
	}
	records, err := csv.NewReader(strings.NewReader(a.ask("--format", "csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	last := records[0][len(records[0])-8:]
	if want := []string{"user", "app", "driver", "client", "mechanism", "via", "evidence", "exact"}; !slices.Equal(last, want) {
		t.Errorf("the last columns are %q", last)
	}
	for _, record := range records {
		for _, field := range record {
			if field != "" && strings.ContainsAny(field[:1], "=+-@") {
				t.Errorf("a field begins a formula: %s", field)
			}
		}
	}
}
