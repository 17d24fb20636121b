package drift_test

import (
	"strings"
	"testing"

	"github.com/joshdk/go-junit"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/drift"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/terminal"
)

// hostile are differences with names that break formats.
func hostile() []drift.Difference {
	text := func(s string) bson.RawValue {
		return bson.Raw(mustMarshal(bson.D{{Key: "v", Value: s}})).Lookup("v")
	}
	return []drift.Difference{
		{Kind: drift.Missing, Namespace: schema.Namespace{Database: "d", Collection: `]]><failure message="x"/>`}},
		{Kind: drift.Unexpected, Namespace: schema.Namespace{Database: "d", Collection: "a\x01\x1b[31m\n\xff\ufffe"}, Index: "'\"&<日本"},
		{
			Kind: drift.Different, Namespace: schema.Namespace{Database: "d", Collection: "c"},
			Details: []drift.Detail{{Option: "validator\r\n", Declared: text("</testcase>\x00"), Live: text("\x1b]0;x\a")}},
			Cause:   &drift.Cause{ID: "rs0:1:2:3", Operation: "MODIFY_COLLECTION", Actor: "eve<>\x1b@admin"},
		},
	}
}

func mustMarshal(d bson.D) []byte {
	out, err := bson.Marshal(d)
	if err != nil {
		panic(err)
	}
	return out
}

// TestJUnit: a parser of the ecosystem reads the report: a case for each difference, and one
// that passes where there is none.
func TestJUnit(t *testing.T) {
	all := hostile()
	for _, c := range []struct {
		why    string
		report drift.Report
		want   map[string]junit.Status
	}{
		{"differences", drift.Report{Open: all[:2], Accepted: all[2:], Compared: 3}, map[string]junit.Status{
			all[0].ID():                   junit.StatusFailed,
			`unexpected:d.a\u0001\u001b[`: junit.StatusFailed,
			all[2].ID():                   junit.StatusSkipped,
		}},
		{"what differs", drift.Report{Open: all[2:]}, map[string]junit.Status{all[2].ID(): junit.StatusFailed}},
		{"none", drift.Report{Compared: 3}, map[string]junit.Status{"3 namespaces compared: no drift": junit.StatusPassed}},
	} {
		t.Run(c.why, func(t *testing.T) {
			var b strings.Builder
			if err := c.report.WriteJUnit(&b); err != nil {
				t.Fatal(err)
			}
			suites, err := junit.Ingest([]byte(b.String()))
			if err != nil || len(suites) != 1 || len(suites[0].Tests) != len(c.want) {
				t.Fatalf("%v, %+v in\n%s", err, suites, b.String())
			}
			for _, test := range suites[0].Tests {
				found := false
				for name, status := range c.want {
					found = found || strings.HasPrefix(test.Name, name) && test.Status == status
				}
				if !found {
					t.Errorf("the case %q is %s in\n%s", test.Name, test.Status, b.String())
				}
			}
			if strings.ContainsAny(b.String(), "\x00\x01\x1b\a") {
				t.Errorf("control characters in %q", b.String())
			}
		})
	}
}

// TestTable: hostile names keep to their lines and reach no terminal.
func TestTable(t *testing.T) {
	var b strings.Builder
	if err := (drift.Report{Open: hostile(), Compared: 3}).WriteTable(&b, terminal.Screen{}); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); strings.ContainsAny(text, "\x00\x01\x1b\a\r") || strings.Count(text, "\n") != 3+3+3+3+1 {
		t.Errorf("got %q", text)
	}
}
