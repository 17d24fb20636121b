package verdict

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/faults/ledger"
)

// Violation is one breach of a guarantee.
type Violation struct {
	Guarantee Name
	// Sink is the affected sink; empty if it is not a single one.
	Sink string
	What string
}

func (v Violation) String() string {
	if v.Sink == "" {
		return v.What
	}
	return v.Sink + ": " + v.What
}

// Received counts what a sink received.
type Received struct {
	Sink string
	// Required counts the changes that the sink must have, Notified those that it has, and Repeated their further
	// copies.
	Required, Notified, Repeated int
	// Gaps counts HISTORY_GAPs, Inferred the changes found by comparisons.
	Gaps, Inferred int
}

// Verdict is the result of judging a run.
type Verdict struct {
	Run      ledger.Header
	Client   Client
	Received []Received
	// Violations holds the first violations of each guarantee; Counts counts all.
	Violations []Violation
	Counts     map[Name]int
	// Limits are known limits of a guarantee that the run reached. They are not violations.
	Limits []string
	// NotJudged holds why a guarantee could not be judged, for the run or for one sink.
	NotJudged map[Name][]string
}

// Judge judges a run.
func Judge(run ledger.Run) Verdict {
	j := judge{run: run, verdict: Verdict{Run: run.Header, Counts: map[Name]int{}, NotJudged: map[Name][]string{}}}
	j.client()
	for _, sink := range run.Sinks {
		d := j.delivery(sink)
		j.inferred(d)
		j.replay(d)
	}
	j.resume()
	return j.verdict
}

// judge builds a verdict.
type judge struct {
	run     ledger.Run
	verdict Verdict
}

// manyViolations bounds the stored violations of one guarantee.
const manyViolations = 40

func (j *judge) violated(name Name, sink, format string, args ...any) {
	j.verdict.Counts[name]++
	if j.verdict.Counts[name] <= manyViolations {
		j.verdict.Violations = append(j.verdict.Violations, Violation{name, sink, fmt.Sprintf(format, args...)})
	}
}

func (j *judge) notJudged(name Name, format string, args ...any) {
	j.verdict.NotJudged[name] = append(j.verdict.NotJudged[name], fmt.Sprintf(format, args...))
}

func (j *judge) limit(format string, args ...any) {
	j.verdict.Limits = append(j.verdict.Limits, fmt.Sprintf(format, args...))
}

// Sound reports whether no guarantee is violated.
func (v Verdict) Sound() bool { return len(v.Violations) == 0 }

// Violated returns the names of the violated guarantees.
func (v Verdict) Violated() []Name {
	var names []Name
	for _, g := range Guarantees() {
		if v.Counts[g.Name] > 0 {
			names = append(names, g.Name)
		}
	}
	return names
}

// Summary returns one line with the numbers of received notifications and the finding for
// each guarantee.
func (v Verdict) Summary() string {
	var parts []string
	for _, r := range v.Received {
		part := fmt.Sprintf("%s %d of %d", r.Sink, r.Notified, r.Required)
		for _, more := range []struct {
			n    int
			what string
		}{{r.Repeated, "repeated"}, {r.Gaps, "gaps"}, {r.Inferred, "inferred"}} {
			if more.n > 0 {
				part += fmt.Sprintf(", %d %s", more.n, more.what)
			}
		}
		parts = append(parts, part)
	}
	for _, g := range Guarantees() {
		parts = append(parts, string(g.Name)+" "+v.finding(g.Name))
	}
	if len(v.Limits) > 0 {
		parts = append(parts, fmt.Sprintf("%d known limits reached", len(v.Limits)))
	}
	return strings.Join(parts, "; ")
}

func (v Verdict) finding(name Name) string {
	switch n := v.Counts[name]; {
	case n > 0:
		return fmt.Sprintf("VIOLATED %d times", n)
	case len(v.NotJudged[name]) > 0:
		return "not judged (" + strings.Join(v.NotJudged[name], ", ") + ")"
	}
	return "holds"
}

// String returns the complete verdict with the first violations of each guarantee.
func (v Verdict) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n", v.Run.Test, v.Summary())
	if v.Client.Statements > 0 {
		fmt.Fprintf(&out, "  client: %s\n", v.Client)
	}
	for _, g := range Guarantees() {
		if v.Counts[g.Name] == 0 {
			continue
		}
		fmt.Fprintf(&out, "  %s (%s of the design): %s\n", g.Name, numbers(g.Numbers), g.States)
		for _, violation := range v.Violations {
			if violation.Guarantee == g.Name {
				fmt.Fprintf(&out, "    %s\n", violation)
			}
		}
	}
	for _, limit := range v.Limits {
		fmt.Fprintf(&out, "  known limit: %s\n", limit)
	}
	return out.String()
}

func numbers(all []int) string {
	text := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(all)), ", "), "[]")
	if len(all) == 1 {
		return "guarantee " + text
	}
	return "guarantees " + text
}

// Client counts the client's statements and their results.
type Client struct {
	Statements int
	// Doubtful counts the effects without acknowledgement, Happened those of them that took place.
	Doubtful, Happened int
}

func (c Client) String() string {
	return fmt.Sprintf("%d statements, %d effects in doubt of which %d happened", c.Statements, c.Doubtful, c.Happened)
}

// client compares the client's statements with the oplog, so that entries missed by the oplog reader are detected too.
func (j *judge) client() {
	c := &j.verdict.Client
	c.Statements = len(j.run.Statements)
	if c.Statements == 0 {
		return
	}
	acknowledged, doubtful, happened := map[ledger.Effect]int{}, map[ledger.Effect]int{}, map[ledger.Effect]int{}
	for _, s := range j.run.Statements {
		for _, e := range s.Effects {
			if s.Doubt == "" {
				acknowledged[e]++
			} else {
				doubtful[e]++
				c.Doubtful++
			}
		}
	}
	for _, change := range j.run.Changes {
		db, _, _ := strings.Cut(change.NS, ".")
		if !slices.Contains(j.run.Unrecorded, db) && j.within(change.OpTime.TS) {
			happened[change.Effect]++
		}
	}
	for _, e := range slices.SortedFunc(maps.Keys(acknowledged), compareEffects) {
		for range acknowledged[e] - happened[e] {
			j.violated(Complete, "", "acknowledged to the client but not in the oplog: %s", e)
		}
	}
	for _, e := range slices.SortedFunc(maps.Keys(happened), compareEffects) {
		beyond := happened[e] - acknowledged[e]
		c.Happened += max(0, min(beyond, doubtful[e]))
		for range beyond - doubtful[e] {
			j.violated(Committed, "", "in the oplog but not requested by the client: %s", e)
		}
	}
}

func compareEffects(a, b ledger.Effect) int { return strings.Compare(a.String(), b.String()) }

// within reports whether a timestamp is in the run's part of the oplog.
func (j *judge) within(at bson.Timestamp) bool { return at.After(j.run.After) && !at.After(j.run.UpTo) }
