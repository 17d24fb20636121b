package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ddltail/ddltail/test/ddlgen"
	"github.com/ddltail/ddltail/test/faults/ledger"
)

// replay applies all notifications of a sink, in the order of their changes, and compares the result with the server's listing.
// An inferred notification without an effect reports a change that did not happen.
func (j *judge) replay(d delivery) {
	switch {
	case d.sink.Partial || !d.documents():
		return
	case !j.run.Listing:
		j.notJudged(Replayable, "%s: no listing", d.sink.Name)
		return
	case !d.dropped.IsZero():
		j.notJudged(Replayable, "%s: the sink was dropped", d.sink.Name)
		return
	}
	folded, listed := ddlgen.Schema{}, ddlgen.Schema{}
	incomplete := map[string]bool{}
	for _, r := range slices.SortedFunc(slices.Values(d.receipts), inOrder(j.run.Source)) {
		if r.again || r.Effect.Operation == "HISTORY_GAP" || r.Source == "manual" || j.own(r.Effect.NS) {
			continue
		}
		if r.FromOplog() && !r.OpTime.TS.After(j.run.After) && folded[r.Effect.NS] == nil && r.Effect.Operation != "CREATE_COLLECTION" && r.Effect.Operation != "CREATE_VIEW" {
			continue // by another scenario on the same servers, before this one
		}
		if strings.Contains(r.Raw.Lookup("truncated").String(), `"after"`) {
			incomplete[r.Effect.NS] = true
		}
		j.fold(d, folded, r)
	}
	for _, n := range j.run.Listed {
		listed[n.NS] = &ddlgen.Definition{Options: n.Options, Indexes: n.Indexes}
	}
	for _, ns := range j.run.Halves {
		incomplete[ns] = true
	}
	for ns := range incomplete {
		delete(folded, ns)
		delete(listed, ns)
	}
	for _, difference := range ddlgen.Differences("by the notifications", folded, listed) {
		j.violated(Replayable, d.sink.Name, "%s", difference)
	}
}

func (j *judge) fold(d delivery, folded ddlgen.Schema, r receipt) {
	inferred := !r.FromOplog()
	before := ""
	if inferred {
		before = text(folded)
	}
	wrong := folded.Apply(r.Raw)
	switch {
	case inferred && d.repeats(j.run, r):
		j.limit("%s: guarantee 1: written before a crash, its entry truncated before the restart, and reported again as inferred: %s %s",
			d.sink.Name, r.ID, r.Effect)
		return
	case inferred && before == text(folded):
		j.violated(Replayable, d.sink.Name, "changes nothing: %s %s", r.ID, r.Effect)
	}
	for _, what := range wrong {
		j.violated(Replayable, d.sink.Name, "%.500s", what)
	}
}

// own reports whether a namespace is in ddltail's own database.
func (j *judge) own(ns string) bool {
	return ns == j.run.Database || strings.HasPrefix(ns, j.run.Database+".")
}

// inOrder sorts a gap before the changes inferred at its end, and those before the entry at that
// position.
func inOrder(source string) func(a, b receipt) int {
	return func(a, b receipt) int { return cmp.Compare(reported(a.ID, source), reported(b.ID, source)) }
}

func reported(id, source string) string {
	parts := strings.Split(strings.TrimPrefix(id, source+":"), ":")
	switch {
	case len(parts) < 3:
		return id
	case parts[0] == "gap":
		return parts[1] + parts[2] + "0"
	case parts[0] == "snapshot":
		return parts[1] + parts[2] + "1" + parts[len(parts)-1]
	}
	return parts[0] + parts[1] + "2" + parts[2]
}

func text(s ddlgen.Schema) string {
	var lines []string
	for ns, d := range s {
		lines = append(lines, fmt.Sprintf("%q %+v", ns, *d))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Listing returns a schema as a run records it.
func Listing(s ddlgen.Schema) []ledger.Namespace {
	var all []ledger.Namespace
	for ns, d := range s {
		all = append(all, ledger.Namespace{NS: ns, Options: d.Options, Indexes: d.Indexes})
	}
	slices.SortFunc(all, func(a, b ledger.Namespace) int { return cmp.Compare(a.NS, b.NS) })
	return all
}
