package receivers

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ddltail/ddltail/internal/risk"
	"github.com/ddltail/ddltail/internal/terminal"
)

// limits bound the parts of a message, in characters and lines. Longer parts are truncated with a
// mark.
type limits struct {
	before, after, statement int
	// lines are the changes of a digest that are shown one by one.
	lines int
}

// levels returns the limits to try until a message fits: before, after and statements are
// truncated first, then lines.
func levels() []limits {
	return []limits{
		{before: 2900, after: 2900, statement: 2900, lines: 20},
		{before: 500, after: 2900, statement: 2900, lines: 20},
		{before: 0, after: 500, statement: 2900, lines: 20},
		{before: 0, after: 0, statement: 2900, lines: 20},
		{before: 0, after: 0, statement: 500, lines: 20},
		{before: 0, after: 0, statement: 120, lines: 10},
		{before: 0, after: 0, statement: 60, lines: 5},
	}
}

// fit renders with the first limits whose result is at most max bytes.
func fit(max int, render func(limits) ([]byte, error)) ([]byte, error) {
	var body []byte
	for _, l := range levels() {
		var err error
		if body, err = render(l); err != nil {
			return nil, err
		}
		if len(body) <= max {
			return body, nil
		}
	}
	return nil, fmt.Errorf("the message has %d bytes, but the target accepts only %d", len(body), max)
}

// digest is a human-readable summary of several changes.
type digest struct {
	// title has the number of changes, risks the number for each risk.
	title, risks string
	// span is the time of the first and the last.
	span string
	// lines are the most severe changes, the oldest first.
	lines []line
	// groups summarize the others, rest is their number.
	groups []string
	rest   int
	// command lists all of them.
	command string
}

// line is one change of a digest.
type line struct{ risk, operation, subject, statement string }

// maxName bounds a name in a digest, in characters.
const maxName = 120

// maxStatement bounds a statement in a digest, in characters.
const maxStatement = 160

// maxGroups bounds the groups of a digest.
const maxGroups = 10

func newDigest(changes []Change, l limits) digest {
	sorted := slices.Clone(changes)
	slices.SortStableFunc(sorted, func(a, b Change) int { return a.Risk.Compare(b.Risk) })
	shown := shownOf(sorted, l.lines)
	d := digest{
		title: mark(isTest(changes)) + number(len(changes)) + " schema changes" + on(changes),
		risks: risksOf(changes), rest: len(sorted) - shown, groups: groupsOf(sorted[shown:]),
	}
	for _, c := range sorted[:shown] {
		one := line{risk: string(c.Risk), operation: c.operation(), subject: cut(c.subject(), maxName)}
		if c.needsStatement() {
			one.statement = cut(c.statement(), min(l.statement, maxStatement))
		}
		d.lines = append(d.lines, one)
	}
	d.span, d.command = "time not known", "ddltail history"
	first, last := spanOf(changes)
	if first.IsZero() {
		return d
	}
	d.span = stamp(first) + " to " + stamp(last)
	d.command = fmt.Sprintf("ddltail history --since %s --until %s",
		first.UTC().Format(time.RFC3339), last.UTC().Truncate(time.Second).Add(time.Second).Format(time.RFC3339))
	return d
}

// shownOf returns how many of the sorted changes are listed: all if they are few, else those that
// are not routine, up to the limit.
func shownOf(sorted []Change, lines int) int {
	if len(sorted) <= lines {
		return len(sorted)
	}
	routine := slices.IndexFunc(sorted, func(c Change) bool { return c.Risk == risk.Routine })
	if routine < 0 {
		routine = len(sorted)
	}
	return min(routine, lines)
}

func isTest(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return c.Test })
}

// on returns the replica set if there is only one.
func on(changes []Change) string {
	set := changes[0].ReplicaSet
	for _, c := range changes {
		if c.ReplicaSet != set {
			return ""
		}
	}
	if set == "" {
		return ""
	}
	return " on " + terminal.Escape(set)
}

// spanOf returns the first and the last time of the changes whose time is known; zero if there is none.
func spanOf(changes []Change) (first, last time.Time) {
	for _, c := range changes {
		if !c.Time.IsZero() && (first.IsZero() || c.Time.Before(first)) {
			first = c.Time
		}
		if c.Time.After(last) {
			last = c.Time
		}
	}
	return first, last
}

// risksOf counts the risks, the most severe first.
func risksOf(changes []Change) string {
	counts := map[risk.Level]int{}
	for _, c := range changes {
		counts[c.Risk]++
	}
	var parts []string
	for _, r := range risk.All() {
		if n := counts[r]; n > 0 {
			parts = append(parts, number(n)+" "+string(r))
		}
	}
	return strings.Join(parts, ", ")
}

// groupsOf counts changes by risk, operation and database, the most severe and most
// frequent first.
func groupsOf(changes []Change) []string {
	type group struct {
		risk                risk.Level
		operation, database string
	}
	counts := map[group]int{}
	for _, c := range changes {
		counts[group{c.Risk, c.Operation, c.Database}]++
	}
	var groups []group
	for g := range counts {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(a.risk.Compare(b.risk), counts[b]-counts[a],
			strings.Compare(a.operation, b.operation), strings.Compare(a.database, b.database))
	})
	var texts []string
	for i, g := range groups {
		if i == maxGroups {
			others := 0
			for _, g := range groups[i:] {
				others += counts[g]
			}
			texts = append(texts, fmt.Sprintf("%s others in %s groups", number(others), number(len(groups)-i)))
			break
		}
		text := fmt.Sprintf("%s %s %s", number(counts[g]), g.risk, Change{Operation: g.operation}.operation())
		if g.database != "" {
			text += " in " + cut(terminal.Escape(g.database), maxName)
		}
		texts = append(texts, text)
	}
	return texts
}

// number returns a number with thousands separators.
func number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
