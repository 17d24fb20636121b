package recovery_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/recovery"
)

var update = flag.Bool("update", false, "rewrite the diagram in docs/architecture.md")

// TestDiagram holds the diagram in the documentation to the table.
func TestDiagram(t *testing.T) {
	const page, begin, end = "../../docs/architecture.md", "```mermaid\nstateDiagram-v2\n", "```\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	got, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no state diagram", page)
	}
	want := diagram()
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s differs from Transitions; run go test ./internal/recovery -update\n%s", page, want)
	}
	if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func diagram() string {
	name := func(s recovery.State) string {
		if s == recovery.Starting {
			return "[*]"
		}
		return strings.ToUpper(string(s[:1])) + string(s[1:])
	}
	var b strings.Builder
	for _, t := range recovery.Transitions() {
		b.WriteString("    " + name(t.From) + " --> " + name(t.To) + ": " + strings.NewReplacer(";", ",", ":", ",").Replace(t.When) + "\n")
	}
	return b.String()
}

// TestTransitions: every state can be reached and left, and Tailing is reached from each.
func TestTransitions(t *testing.T) {
	next := map[recovery.State][]recovery.State{}
	reached := map[recovery.State]bool{recovery.Starting: true}
	for _, edge := range recovery.Transitions() {
		next[edge.From] = append(next[edge.From], edge.To)
		reached[edge.To] = true
	}
	for state := range reached {
		if !leads(next, state, recovery.Tailing, map[recovery.State]bool{}) {
			t.Errorf("%q does not lead to tailing", state)
		}
	}
	if len(reached) != len(next) {
		t.Errorf("%d states can be reached, %d can be left", len(reached), len(next))
	}
}

func leads(next map[recovery.State][]recovery.State, from, to recovery.State, seen map[recovery.State]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, s := range next[from] {
		if s == to || leads(next, s, to, seen) {
			return true
		}
	}
	return false
}

func TestMachine(t *testing.T) {
	var m recovery.Machine
	for _, step := range []struct {
		to   recovery.State
		want bool
	}{
		{recovery.Reloading, true}, {recovery.Verifying, true}, {recovery.Lost, true}, {recovery.Tailing, false}, {recovery.Reloading, true},
	} {
		if got := m.Enter(step.to); got != step.want || m.State() != step.to {
			t.Errorf("to %s: got %t, now %s", step.to, got, m.State())
		}
	}
}
