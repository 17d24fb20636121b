package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestCommandLine checks what is answered without a server.
func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"--version", 0, "ddltail ", ""},
		{"version", 0, "ddltail ", ""},
		{"statu", 2, "", `ddltail: unknown command "statu" for "ddltail"; Did you mean this? status` + "\n"},
		{"nosuch", 2, "", `ddltail: unknown command "nosuch" for "ddltail"` + "\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := execute(t.Context(), strings.Fields(c.args), &stdout, &stderr)
		if code != c.code || !strings.HasPrefix(stdout.String(), c.stdout) || !strings.HasPrefix(stderr.String(), c.stderr) {
			t.Errorf("%s: exit %d, %q, %q", c.args, code, stdout.String(), stderr.String())
		}
	}
}
