package sinktest

import (
	"maps"
	"testing"

	"github.com/ddltail/ddltail/internal/sink"
)

// Variable is a variable of a kind with values that its Check refuses.
type Variable struct {
	Name string
	// With are the other variables that must be set.
	With sink.Values
	// Bad is empty if the variable accepts any text, or is reported with another one.
	Bad []string
}

// Variables checks that a kind refuses each bad value with the variable's name, and that no variable of the kind is left
// out.
func Variables(t *testing.T, k sink.Kind, specification string, variables []Variable) {
	t.Helper()
	spec, err := sink.Registry{k}.Parse(specification)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, v := range variables {
		listed[v.Name] = true
		for _, bad := range v.Bad {
			values := sink.Values{}
			maps.Copy(values, v.With)
			values[v.Name] = bad
			problems := k.Check(spec, values)
			if len(problems) != 1 || problems[0].Variable != v.Name {
				t.Errorf("%s=%s: got %v, want one problem with the variable's name", v.Name, bad, problems)
			}
		}
	}
	for _, v := range k.Variables {
		if !listed[v.Name] {
			t.Errorf("no bad value of %s is tried", v.Name)
		}
	}
}
