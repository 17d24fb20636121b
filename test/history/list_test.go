package history

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/hostile"
	"github.com/ddltail/ddltail/test/terminal"
)

func some(t *testing.T) archive {
	a := newArchive(t)
	var docs []any
	for i, name := range hostile.Names() {
		docs = append(docs, published("rs0", i, "DROP_COLLECTION", "bank", name))
	}
	docs = append(docs,
		published("rs0", 20, "CREATE_COLLECTION", "bank", "payments", bson.E{Key: "mongosh", Value: "db.getSiblingDB('bank').createCollection('payments')"}),
		published("rs0", 21, "RENAME_COLLECTION", "bank", "payments", bson.E{Key: "to", Value: "bank.paid"},
			bson.E{Key: "mongosh", Value: "db.getSiblingDB('bank').getCollection('payments').renameCollection('paid')"}),
		published("rs0", 22, "DROP_DATABASE", "bank", ""),
		published("rs0", 23, "CREATE_COLLECTION", "bankrupt", "x"),
		published("rs1", 24, "CREATE_COLLECTION", "bank", "elsewhere", bson.E{Key: "risk", Value: "destructive"}),
	)
	a.insert("schema_history", docs...)
	a.insert("schema_catalog", version("rs0", 20, 1, "bank.payments", bson.D{}), version("rs1", 24, 1, "bank.elsewhere", bson.D{}))
	return a
}

// ids runs a query and gives which changes it selects, by the second of each.
func (a archive) ids(args ...string) []int {
	a.Helper()
	out := []int{}
	for line := range strings.Lines(a.ask(append(args, "--format", "json")...)) {
		var doc struct {
			Timestamp float64 `json:"timestamp"`
		}
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			a.Fatal(err)
		}
		out = append(out, int(doc.Timestamp)-base)
	}
	return out
}

func TestSelection(t *testing.T) {
	a := some(t)
	for _, c := range []struct {
		args []string
		want []int
	}{
		{[]string{"--since", rfc(20)}, []int{20, 21, 22, 23, 24}},
		{[]string{"--since", rfc(20.001)}, []int{21, 22, 23, 24}},
		{[]string{"--since", rfc(20), "--until", rfc(21)}, []int{20, 21}},
		{[]string{"--ns", "bank.payments"}, []int{20, 21}},
		{[]string{"--ns", "bank.paid"}, []int{21}},
		{[]string{"--ns", "bank.*", "--since", rfc(20)}, []int{20, 21, 22, 24}},
		{[]string{"--ns", "bank.", "--since", rfc(20)}, []int{22}},
		{[]string{"--ns", "*a*.x"}, []int{23}},
		{[]string{"--ns", "bank.*\nlines*"}, []int{3}},
		{[]string{"--operation", "rename_collection"}, []int{21}},
		{[]string{"--operation", "CREATE_COLLECTION", "--ns", "bank.*"}, []int{20, 24}},
		{[]string{"--limit", "2"}, []int{23, 24}},
		{[]string{"--ns", "bank.payments", "--ns", "bankrupt.*"}, []int{20, 21, 23}},
		{[]string{"--ns", "!bank.*", "--since", rfc(20)}, []int{23}},
		{[]string{"--ns", "!bank.paid", "--since", rfc(20)}, []int{20, 22, 23, 24}},
		{[]string{"--operation", "!DROP_*", "--since", rfc(20)}, []int{20, 21, 23, 24}},
		{[]string{"--operation", "RENAME_COLLECTION,DROP_DATABASE"}, []int{21, 22}},
		{[]string{"--risk", "breaking"}, []int{21}},
		{[]string{"--risk", "destructive", "--since", rfc(20)}, []int{22, 24}},
		{[]string{"--risk", "!destructive", "--ns", "bank.*", "--since", rfc(20)}, []int{20, 21, 22}},
		{[]string{"--limit", "2", "--ns", "bank.*"}, []int{22, 24}},
		{[]string{"--limit", "100", "--ns", "bank.payments"}, []int{20, 21}},
		{[]string{"--source", "rs1"}, []int{24}},
		{[]string{"--ns", "nothing.*"}, []int{}},
		{[]string{"--since", "1s"}, []int{}},
	} {
		if got := a.ids(c.args...); !slices.Equal(got, c.want) {
			t.Errorf("%q gives %v, want %v", c.args, got, c.want)
		}
	}
	out := a.ask()
	contains(t, out, "rs0:1780000020:1", "rs1:1780000024:1", "to 'paid'", "bank.payments")
	if got := a.ask("--limit", "1"); strings.Count(got, "\n") != 5 || !strings.Contains(got, "the newest 1 only") {
		t.Errorf("a limit gives\n%s", got)
	}
}

// TestEscaped sees that no format lets a name's control characters through, or
// begins a spreadsheet's formula.
func TestEscaped(t *testing.T) {
	a := some(t)
	for _, format := range []string{"table", "json", "mongosh", "csv"} {
		for _, args := range [][]string{{"--format", format}, {"--format", format, "--wide"}} {
			for _, r := range a.ask(args...) {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%v prints %U", args, r)
				}
			}
		}
	}
	records, err := csv.NewReader(strings.NewReader(a.ask("--format", "csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		for _, field := range record {
			if field != "" && strings.ContainsAny(field[:1], "=+-@") {
				t.Errorf("a field begins a formula: %s", field)
			}
		}
	}
	for i, line := range strings.Split(strings.TrimSpace(a.ask("--format", "json", "--limit", "100")), "\n")[:len(hostile.Names())] {
		var doc struct{ Collection string }
		if err := json.Unmarshal([]byte(line), &doc); err != nil || doc.Collection != hostile.Names()[i] {
			t.Errorf("JSON gives %q, %v, want %q", doc.Collection, err, hostile.Names()[i])
		}
	}
	escape := slices.IndexFunc(hostile.Names(), func(name string) bool { return strings.HasPrefix(name, "\x1b") })
	contains(t, a.ask("show", fmt.Sprintf("rs0:%d:1", base+escape)), `\u001b[2J`)
}

// TestTerminal runs in a real terminal of 60 columns.
func TestTerminal(t *testing.T) {
	a := some(t)
	see := func(columns uint16, more ...string) string {
		cmd := exec.CommandContext(t.Context(), binary, "history")
		cmd.Env = slices.Concat(environment(), a.variables, []string{"TERM=xterm"}, more)
		out, err := terminal.Run(t.Context(), cmd, columns, 40)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return out
	}
	contains(t, see(60), "\x1b[32m", "\x1b[31m")
	plain := see(60, "NO_COLOR=1")
	containsNot(t, plain, "\x1b")
	for line := range strings.Lines(see(100, "NO_COLOR=1")) {
		width := 0
		for _, r := range strings.TrimSuffix(line, "\n") {
			width++
			if r > 0x2e80 && r < 0xffff {
				width++
			}
		}
		if width > 100 {
			t.Errorf("%d cells: %s", width, line)
		}
	}
}

// TestPipes closes the pipe after one line, and interrupts a follower.
func TestPipes(t *testing.T) {
	a := some(t)
	// All that is listed was read: whether the pipe closes before the last change or after it, there is nothing to note.
	a.insert("schema_checkpoints", checkpoint("rs0", 0, 24), checkpoint("rs1", 0, 24))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	head := exec.CommandContext(ctx, "sh", "-c", `"$0" history --format json --until "$1" | head -n 1`, binary, rfc(24))
	head.Env = append(environment(), a.variables...)
	out, err := head.CombinedOutput()
	if err != nil || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%v\n%s", err, out)
	}

	follow := exec.CommandContext(ctx, binary, "history", "--follow", "--format", "json", "--ns", "bank.*", "--source", "rs0")
	follow.Env = append(environment(), a.variables...)
	pipe, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	next := func() string {
		lines.Scan()
		return lines.Text()
	}
	for range len(hostile.Names()) + 3 {
		next()
	}
	// In the past by its time, but new; then one of another namespace, an inferred one and a gap.
	a.insert("schema_history", published("rs0", 30, "DROP_COLLECTION", "bank", "late"), published("rs0", 31, "DROP_COLLECTION", "other", "x"),
		inferred("rs0", 25, 29, 0, "CREATE_COLLECTION", "bank", "found"), gap("rs0", 25, 29))
	got := next() + next() + next()
	contains(t, got, `"late"`, `"found"`, "HISTORY_GAP")
	containsNot(t, got, "other.x")
	if err := follow.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := follow.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
}

func TestUsage(t *testing.T) {
	a := newArchive(t)
	for _, args := range [][]string{
		{"history", "--since", "yesterday"}, {"history", "--format", "xml"}, {"history", "--operation", "DROP_TABLE"}, {"history", "--risk", "high"}, {"history", "--limit", "-1"},
		{"history", "--as-of", "now", "--since", "1h"}, {"history", "--follow", "--until", "now"}, {"history", "diff", "now"},
		{"history", "diff", "now", "then"}, {"history", "show"}, {"history", "--as-of", "now", "--format", "csv"}, {"status", "--format", "csv"},
	} {
		if _, stderr, code := (command{args, a.variables}).run(t); code != 2 || stderr == "" {
			t.Errorf("%q: exit %d: %s", args, code, stderr)
		}
	}
	if _, stderr, code := (command{[]string{"history", "show", "rs0:1:1"}, some(t).variables}).run(t); code != 1 || !strings.Contains(stderr, "no such change") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if _, stderr, code := (command{[]string{"history", "--since", "x", "--limit", "-1"}, a.variables}).run(t); code != 2 || strings.Count(stderr, "\n") != 2 {
		t.Errorf("not every mistake is reported: exit %d: %s", code, stderr)
	}
}

// TestEmptyDatabase and TestUnknownSource check that what is not known is an error, in
// every form of the question: an empty answer would read as "no changes".
func TestEmptyDatabase(t *testing.T) {
	a := newArchive(t)
	askEverything(t, a.variables, nil, 1, "no history of ddltail in the database")
	for _, args := range [][]string{{"cleanup"}, {"cleanup", "--dry-run"}, {"redeliver", "--rejected"}, {"redeliver", "--since", "1h", "--dry-run"}} {
		stdout, stderr, code := command{args, a.variables}.run(t)
		if code != 1 || stdout != "" || !strings.Contains(stderr, "no queue of ddltail in the database") {
			t.Errorf("%q: exit %d: %s%s", args, code, stdout, stderr)
		}
	}
}

func TestUnknownSource(t *testing.T) {
	askEverything(t, withGap(t).variables, []string{"--source", "nosuch"}, 2, `"nosuch"`, `"rs0"`)
}

func askEverything(t *testing.T, variables, more []string, wantCode int, wants ...string) {
	for _, args := range [][]string{
		{}, {"--format", "json"}, {"--format", "csv"}, {"--format", "mongosh"}, {"--since", "1h"},
		{"--as-of", "now"}, {"--as-of", "now", "--format", "mongosh"}, {"diff", "1h", "now"}, {"show", "1:1"},
	} {
		args = slices.Concat([]string{"history"}, args, more)
		stdout, stderr, code := command{args, variables}.run(t)
		if code != wantCode || stdout != "" {
			t.Errorf("%q: exit %d: %s%s", args, code, stdout, stderr)
		}
		contains(t, stderr, wants...)
	}
}
