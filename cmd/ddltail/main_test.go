package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// TestDefaultURI: an error names the variable if nothing names the server.
func TestDefaultURI(t *testing.T) {
	names := []string{"MONGODB_URI", "MONGODB_URI_FILE", "SINK_URI", "SINK_URI_FILE"}
	for _, name := range names {
		t.Setenv("DDLTAIL_"+name, "")
	}
	failed := errors.New("connection refused")
	if got := withDefaultURI(failed).Error(); !strings.Contains(got, "DDLTAIL_MONGODB_URI is not set") || !strings.Contains(got, "refused") {
		t.Error(got)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DDLTAIL_"+name, "x")
			if got := withDefaultURI(failed); got != failed { //nolint:errorlint // the same
				t.Error(got)
			}
		})
	}
}

// TestHelp: each command's help lists the variables that it reads, and no others.
func TestHelp(t *testing.T) {
	for args, want := range map[string]struct{ has, hasNot string }{
		"run --help":          {"DDLTAIL_START", "DDLTAIL_BACKEND_URL"},
		"listen --help":       {"DDLTAIL_BACKEND_URL", "DDLTAIL_START"},
		"history --help":      {"DDLTAIL_SOURCE", "DDLTAIL_HTTP_ADDR"},
		"history diff --help": {"DDLTAIL_SINK_URI", "DDLTAIL_HTTP_ADDR"},
		"status --help":       {"DDLTAIL_NAME", "DDLTAIL_PROBE_ADDR"},
		"cleanup --help":      {"DDLTAIL_DATABASE", "DDLTAIL_NAME "},
		"version --help":      {"version", "DDLTAIL_"},
	} {
		var stdout bytes.Buffer
		code := execute(t.Context(), strings.Fields(args), &stdout, &stdout)
		if text := stdout.String(); code != 0 || !strings.Contains(text, want.has) || strings.Contains(text, want.hasNot) {
			t.Errorf("%s: exit %d:\n%s", args, code, text)
		}
	}
}

// TestCompletion asks as a shell does, without a server.
func TestCompletion(t *testing.T) {
	t.Setenv("DDLTAIL_MONGODB_URI", "mongodb://127.0.0.1:1")
	t.Setenv("DDLTAIL_BACKEND_URL", "http://127.0.0.1:1/")
	for args, want := range map[string]string{
		"history --operation ":        "RENAME_COLLECTION",
		"history --risk ":             "destructive",
		"history --format ":           "csv",
		"history show --format ":      "mongosh",
		"status --format ":            "json",
		"drift --format ":             "junit",
		"notify ":                     "CREATE_INDEX",
		"history --source ":           "ShellCompDirectiveError",
		"history diff --source ":      "ShellCompDirectiveError",
		"redeliver --receiver ":       "backend",
		"receivers test ":             "backend",
		"receivers render ":           "backend",
		"receivers test --operation ": "DROP_INDEX",
		"notify CREATE_COLLECTION ":   "ShellCompDirectiveNoFileComp",
	} {
		var out bytes.Buffer
		args := append([]string{"__complete"}, strings.Split(args, " ")...)
		if code := execute(t.Context(), args, &out, &out); code != 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%q: exit %d: %s", args, code, out.String())
		}
	}
}

// TestLastLine: where stderr is a log in JSON, its last line is one.
func TestLastLine(t *testing.T) {
	t.Setenv("DDLTAIL_MONGODB_URI", "localhost")
	for _, c := range []struct {
		format, args string
		json         bool
		want         string
	}{
		{"", "run", true, "DDLTAIL_MONGODB_URI: want"},
		{"", "listen --stdout", true, "DDLTAIL_MONGODB_URI: want"},
		{"", "history", false, "DDLTAIL_MONGODB_URI: want"},
		{"", "cleanup", false, "DDLTAIL_MONGODB_URI: want"},
		{"json", "run", true, "DDLTAIL_MONGODB_URI: want"},
		{"json", "cleanup", true, "DDLTAIL_MONGODB_URI: want"},
		{"json", "status", true, "DDLTAIL_MONGODB_URI: want"},
		{"console", "run", false, "DDLTAIL_MONGODB_URI: want"},
		{"", "run --fast", true, `"usage":"ddltail run [flags]"`},
		{"json", "cleanup --fast", true, `"usage":"ddltail cleanup [--older-than 24h] [--dry-run]"`},
		{"console", "listen --fast", false, "usage: ddltail listen [--stdout]"},
		{"", "notify", false, "usage: ddltail notify"},
		{"", "nosuch", false, "usage: ddltail COMMAND"},
	} {
		t.Setenv("DDLTAIL_LOG_FORMAT", c.format)
		var out bytes.Buffer
		code := execute(t.Context(), strings.Fields(c.args), &out, &out)
		if code != exitUsage || json.Valid(bytes.TrimSpace(out.Bytes())) != c.json || !strings.Contains(out.String(), c.want) {
			t.Errorf("%q, %s: exit %d: %s", c.format, c.args, code, out.String())
		}
	}
}

// TestStopped: a daemon that is stopped while it waits for its start has not failed; a
// command that did not do what it was started for has.
func TestStopped(t *testing.T) {
	t.Setenv("DDLTAIL_MONGODB_URI", "mongodb+srv://no-such-name.invalid/")
	t.Setenv("DDLTAIL_LOG_FORMAT", "console")
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for args, want := range map[string]struct {
		code int
		text string
	}{
		"run":             {0, ""},
		"listen --stdout": {0, ""},
		"setup":           {exitFailed, "ddltail: interrupted before completion\n"},
	} {
		var out bytes.Buffer
		if code := execute(stopped, strings.Fields(args), &out, &out); code != want.code || out.String() != want.text {
			t.Errorf("%s: exit %d: %s", args, code, out.String())
		}
	}
}
