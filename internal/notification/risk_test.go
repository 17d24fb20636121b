package notification

import (
	"flag"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/risk"
	"github.com/ddltail/ddltail/internal/schema/option"
	"go.mongodb.org/mongo-driver/v2/bson"
)

var updateDocs = flag.Bool("update", false, "rewrite the tables in docs/risk.md")

// TestRisk reads one case a line: operation, what is known of the change, its risk.
func TestRisk(t *testing.T) {
	text, err := os.ReadFile("testdata/risk.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Operation]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		head, want, ok := strings.Cut(line, " => ")
		operation, known, _ := strings.Cut(head, " ")
		if !ok {
			t.Fatalf("no risk in %q", line)
		}
		if got := riskCase(t, Operation(operation), known); got != risk.Level(strings.TrimSpace(want)) {
			t.Errorf("%s: got %s", line, got)
		}
		seen[Operation(operation)] = true
	}
	for _, o := range Operations() {
		if !seen[o] {
			t.Errorf("no case of %s", o)
		}
	}
}

func riskCase(t *testing.T, o Operation, known string) risk.Level {
	t.Helper()
	var c struct {
		Parameters, Previous, Before, After bson.Raw
		Index                               string
		Empty, New                          bool
	}
	if known = strings.TrimSpace(known); known != "" {
		if err := bson.UnmarshalExtJSON([]byte(known), false, &c); err != nil {
			t.Fatalf("%s: %v", known, err)
		}
	}
	return Change{
		Operation: o, IndexName: c.Index, Parameters: c.Parameters, Previous: c.Previous,
		Before: c.Before, After: c.After, Empty: c.Empty, New: c.New,
	}.Risk()
}

// TestEveryOptionHasCases checks that each option of the tables occurs in a case with its
// risk and in one without.
func TestEveryOptionHasCases(t *testing.T) {
	text, err := os.ReadFile("testdata/risk.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []iter.Seq[option.Option]{option.IndexOptions, option.CollectionOptions} {
		for row := range rows {
			with := row.Risk.Level == ""
			for line := range strings.Lines(string(text)) {
				with = with || strings.Contains(line, `"`+row.ParameterName()+`"`) && strings.Contains(line, "=> "+string(row.Risk.Level))
			}
			if !with {
				t.Errorf("no case of %s with the risk %s", row.Name, row.Risk.Level)
			}
		}
	}
}

// TestPossibleRisks checks that the table names every risk that a case of it has.
func TestPossibleRisks(t *testing.T) {
	for _, o := range Operations() {
		row, ok := operationRisks()[o]
		if !ok || row.reason == "" || len(row.risks) == 0 || (len(row.risks) > 1) != (row.refine != nil) {
			t.Errorf("%s: %+v", o, row.risks)
		}
		if !slices.Contains(o.PossibleRisks(), Change{Operation: o}.Risk()) {
			t.Errorf("%s has the risk %s, which is not listed", o, Change{Operation: o}.Risk())
		}
	}
	if got := (Change{Operation: "NEWER_OPERATION"}).Risk(); got != risk.Unknown {
		t.Errorf("an operation of a newer release has the risk %s", got)
	}
}

// TestRiskOf checks stored documents: with the field, and without it.
func TestRiskOf(t *testing.T) {
	for text, want := range map[string]risk.Level{
		`{"operation": "DROP_COLLECTION", "risk": "routine"}`:                                                             risk.Routine,
		`{"operation": "DROP_COLLECTION"}`:                                                                                risk.Destructive,
		`{"operation": "DROP_COLLECTION", "risk": "severe"}`:                                                              risk.Destructive,
		`{"operation": "CREATE_INDEX", "index_name": "a", "after": {"unique": true}}`:                                     risk.Breaking,
		`{"operation": "MODIFY_COLLECTION", "before": {"validator": {"a": 1}}, "after": {}}`:                              risk.Breaking,
		`{"operation": "MODIFY_COLLECTION", "before": {"size": 9, "capped": true}, "after": {"size": 8, "capped": true}}`: risk.Destructive,
		`{"operation": "MODIFY_COLLECTION", "index_name": "a", "before": {}, "after": {"hidden": true}}`:                  risk.Breaking,
		`{"operation": "MODIFY_COLLECTION", "before": {"expireAfterSeconds": 9}, "after": {}}`:                            risk.Routine,
		`{"operation": "MODIFY_COLLECTION"}`:                                                                              risk.Unknown,
		`{"operation": 7}`:                                                                                                risk.Unknown,
	} {
		var doc bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(text), false, &doc); err != nil {
			t.Fatal(err)
		}
		if got := RiskOf(doc); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// TestRiskDocs compares the tables in docs/risk.md with those of the code.
func TestRiskDocs(t *testing.T) {
	const path, begin, end = "../../docs/risk.md", "<!-- written by go test ./internal/notification -update -->\n", "<!-- end -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, hasBegin := strings.Cut(string(text), begin)
	_, tail, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		t.Fatalf("%s has no place for the tables", path)
	}
	want := head + begin + riskTables() + end + tail
	if *updateDocs {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s differs from the tables of the code: go test ./internal/notification -run RiskDocs -update", path)
	}
}

func riskTables() string {
	var b strings.Builder
	b.WriteString("| operation | risk | reason |\n| --- | --- | --- |\n")
	for _, o := range Operations() {
		row := operationRisks()[o]
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", o, strings.Join(names(row.risks), ", "), row.reason)
	}
	for _, table := range []struct {
		title string
		rows  iter.Seq[option.Option]
	}{{"parameter of collMod", option.CollectionOptions}, {"option of an index", option.IndexOptions}} {
		fmt.Fprintf(&b, "\n| %s | risk | reason |\n| --- | --- | --- |\n", table.title)
		for row := range table.rows {
			if row.Risk.Level != "" {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", row.ParameterName(), row.Risk.Level, row.Risk.Why)
			}
		}
		b.WriteString("| any other | routine | |\n")
	}
	return b.String()
}
