package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	recording := func(name string) string { return filepath.Join("..", "verdict", "testdata", name+".jsonl") }
	for _, c := range []struct {
		name  string
		paths []string
		code  int
		want  string
	}{
		{"sound", []string{recording("killed"), recording("stopped")}, 0, "TestStoppedBeforeWriting: history 4 of 4; queue 4 of 4; unique holds"},
		{"one violates", []string{recording("killed-lost"), recording("killed")}, 1, "complete (guarantees 1, 6 of the design)"},
		{"no run", []string{"main.go"}, 2, "main.go: line 1"},
		{"nothing", nil, 2, "usage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			if code := run(c.paths, &out, &out); code != c.code || !strings.Contains(out.String(), c.want) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, c.code, c.want, &out)
			}
		})
	}
}
