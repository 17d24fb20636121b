package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table in docs/configuration.md")

// TestDocs compares the table in docs/configuration.md with the variables that are read.
func TestDocs(t *testing.T) {
	const (
		path  = "../../docs/configuration.md"
		begin = "<!-- configuration: written by go test ./internal/config -update -->\n"
		end   = "<!-- end of configuration -->"
	)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, hasBegin := strings.Cut(string(text), begin)
	_, tail, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		t.Fatalf("%s has no place for the configuration: want a line %q and one with %s", path, begin, end)
	}
	var table strings.Builder
	table.WriteString("| variable | default | meaning |\n| --- | --- | --- |\n")
	for _, v := range Variables() {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", v.Name, v.Default, v.Description)
	}
	want := head + begin + table.String() + end + tail
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s differs from the variables in the code: go test ./internal/config -run Docs -update", path)
	}
}
