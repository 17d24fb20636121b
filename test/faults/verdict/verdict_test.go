package verdict_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/faults/verdict"
)

// recordings are real runs, as DDLTAIL_LEDGER_DIR keeps them.
func recordings() []string { return []string{"killed", "stopped", "step-down", "rolled-over"} }

// TestRecordings checks that unchanged recordings violate no guarantee.
func TestRecordings(t *testing.T) {
	for _, name := range recordings() {
		t.Run(name, func(t *testing.T) {
			v := verdict.Judge(read(t, name))
			if !v.Sound() || len(v.NotJudged) > 0 {
				t.Errorf("%s", v)
			}
			if limits := len(v.Limits); (limits > 0) != (name == "rolled-over") {
				t.Errorf("%d known limits: %q", limits, v.Limits)
			}
		})
	}
}

// TestFaults judges recordings into which one fault was edited by hand: each guarantee must be able to fail.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		what string // of the first violation
		want []verdict.Name
	}{
		{"stopped-written-again", "written again after it was removed", []verdict.Name{verdict.Unique}},
		{"killed-second-id", "reported twice", []verdict.Name{verdict.Unique}},
		{"killed-lost", "lost", []verdict.Name{verdict.Complete, verdict.Resumable, verdict.Replayable}},
		{"killed-not-in-the-oplog", "acknowledged to the client but not in the oplog", []verdict.Name{verdict.Complete}},
		{"rolled-over-no-gap", "history was lost without a HISTORY_GAP", []verdict.Name{verdict.Complete, verdict.Replayable}},
		{"killed-swapped", "out of order, written", []verdict.Name{verdict.Ordered}},
		{"step-down-rolled-back", "did not happen", []verdict.Name{verdict.Committed}},
		{"killed-checkpoint-first", "passed by the checkpoint before it was written", []verdict.Name{verdict.Resumable}},
		{"step-down-queue-first", "in the queue before it was in the history", []verdict.Name{verdict.Resumable}},
		{"stopped-moved-back", "the checkpoint moved back", []verdict.Name{verdict.Resumable}},
		{"killed-catalog-first", "in the catalog before it was written", []verdict.Name{verdict.Resumable}},
		{"stopped-unprocessed", "removed but not processed", []verdict.Name{verdict.Resumable}},
		{"killed-definition", "by the notifications", []verdict.Name{verdict.Replayable}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verdict.Judge(read(t, c.name))
			if !slices.Equal(v.Violated(), c.want) {
				t.Fatalf("violated: %q, want %q\n%s", v.Violated(), c.want, v)
			}
			if what := v.Violations[0].What; !strings.HasPrefix(what, c.what) {
				t.Errorf("got %q, want %q", what, c.what)
			}
		})
	}
}

// TestHalves checks that an unlisted namespace is a violation, except half of a time
// series.
func TestHalves(t *testing.T) {
	run := read(t, "killed")
	last := run.Listed[len(run.Listed)-1]
	run.Listed = run.Listed[:len(run.Listed)-1]
	if v := verdict.Judge(run); !slices.Equal(v.Violated(), []verdict.Name{verdict.Replayable}) {
		t.Errorf("%s is not listed: %s", last.NS, v)
	}
	run.Halves = []string{last.NS}
	if v := verdict.Judge(run); !v.Sound() {
		t.Errorf("half of %s exists: %s", last.NS, v)
	}
}

// TestRoundTrip checks that a run is written as it was read.
func TestRoundTrip(t *testing.T) {
	for _, name := range recordings() {
		var out bytes.Buffer
		if _, err := read(t, name).WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s is written otherwise than it was read:\n%s", name, out.Bytes())
		}
	}
}

func path(name string) string { return filepath.Join("testdata", name+".jsonl") }

func read(t *testing.T, name string) ledger.Run {
	t.Helper()
	file, err := os.Open(path(name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	run, err := ledger.ReadRun(file)
	if err != nil {
		t.Fatal(err)
	}
	return run
}
