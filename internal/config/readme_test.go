package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the configuration in the README")

// TestReadme sees that the README's table of variables is the code's.
func TestReadme(t *testing.T) {
	const (
		path  = "../../README.md"
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
		t.Fatal("the README has no place for the configuration")
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
		t.Error("the README's configuration is not the code's: go test ./internal/config -run Readme -update")
	}
}
