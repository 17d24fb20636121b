package option_test

import (
	"iter"
	"testing"

	"github.com/ddltail/ddltail/internal/schema/option"
)

// TestTable holds each row to what its readers assume.
func TestTable(t *testing.T) {
	for table, rows := range map[string]iter.Seq[option.Option]{
		"collection": option.CollectionOptions, "index": option.IndexOptions,
	} {
		seen := map[string]bool{}
		for row := range rows {
			if row.Name == "" || row.Why == "" {
				t.Errorf("%s: a row lacks its name or its reason: %+v", table, row)
			}
			if seen[row.Name] {
				t.Errorf("%s: two rows are named %s", table, row.Name)
			}
			seen[row.Name] = true
			if _, ok := row.OffValue(); ok != (row.Off != "") {
				t.Errorf("%s: %s: Off %s is not extended JSON", table, row.Name, row.Off)
			}
			if row.Off != "" && !row.Changeable() {
				t.Errorf("%s: %s: Off without a Parameter", table, row.Name)
			}
			switch row.Implied.(type) {
			case nil, int, string:
			default:
				t.Errorf("%s: %s: Implied is a %T", table, row.Name, row.Implied)
			}
		}
	}
}
