package verdict

import (
	"fmt"
	"strings"

	"github.com/ddltail/ddltail/test/faults/ledger"
)

// inferred judges gaps and inferred changes.
func (j *judge) inferred(d delivery) {
	count := &j.verdict.Received[len(j.verdict.Received)-1]
	sink := d.sink.Name
	seen := map[ledger.Effect]bool{}
	for _, r := range d.receipts {
		if !r.decoded || r.Source != "snapshot" || r.again && d.sink.Repeats {
			continue
		}
		if j.run.Lost == ledger.Nothing {
			j.violated(Committed, sink, "inferred although nothing was lost: %s %s", r.ID, r.Effect)
		}
		if r.again {
			j.violated(Unique, sink, "stored twice: %s %s", r.ID, r.Effect)
		}
		if r.Effect.Operation == "HISTORY_GAP" {
			count.Gaps++
			j.gapForm(sink, r)
			continue
		}
		count.Inferred++
		if seen[r.Effect] {
			j.violated(Unique, sink, "inferred twice: %s %s", r.ID, r.Effect)
		}
		seen[r.Effect] = true
		j.inferredForm(sink, r)
	}
	j.gaps(d)
}

// gaps judges the intervals of the gaps.
func (j *judge) gaps(d delivery) {
	lost := j.run.Lost == ledger.Truncated || j.run.Lost == ledger.Replaced
	if lost && len(d.gaps) == 0 && !d.sink.Partial && d.documents() {
		j.violated(Complete, d.sink.Name, "history was lost without a HISTORY_GAP")
	}
	for i, g := range d.gaps {
		for _, other := range d.gaps[:i] {
			if g.id != other.id && g.from.Before(other.to) && other.from.Before(g.to) {
				j.violated(Unique, d.sink.Name, "two gaps for one interval: %s and %s", other.id, g.id)
			}
		}
	}
}

// documents reports whether the sink's notifications are known, not only their _ids.
func (d delivery) documents() bool { return len(d.receipts) == 0 || d.receipts[0].decoded }

// gapForm judges the form of a HISTORY_GAP: its _id and the clock times of both ends.
func (j *judge) gapForm(sink string, r receipt) {
	to := moment(r.Raw, "to")
	if want := fmt.Sprintf("%s:gap:%010d:%010d", j.run.Source, to.T, to.I); r.ID != want {
		j.violated(Ordered, sink, "has the wrong _id: %s, a gap up to %v, want %s", r.ID, to, want)
	}
	for _, end := range []string{"from", "to"} {
		if _, ok := r.Raw.Lookup(end, "wall").DateTimeOK(); !ok {
			j.violated(Ordered, sink, "the gap %s has no time of its %s", r.ID, end)
		}
	}
}

// inferredForm judges the form of an inferred change, which has an interval instead of a time.
func (j *judge) inferredForm(sink string, r receipt) {
	_, after := r.Raw.Lookup("not_before").DateTimeOK()
	_, before := r.Raw.Lookup("not_after").DateTimeOK()
	_, err := r.Raw.LookupErr("optime")
	if !after || !before || err == nil || !strings.HasPrefix(r.ID, j.run.Source+":snapshot:") {
		j.violated(Ordered, sink, "not the form of an inferred change: %s %s", r.ID, r.Effect)
	}
}

// repeats reports whether an inferred change was already written from the oplog, before a crash, and its entry was truncated
// before the checkpoint passed it: the known limit of guarantee 1.
func (d delivery) repeats(run ledger.Run, inferred receipt) bool {
	for _, r := range d.receipts {
		if r.decoded && r.FromOplog() && r.Effect == inferred.Effect && run.Lost == ledger.Truncated && d.excused(run.Lost, r.OpTime.TS) {
			return true
		}
	}
	return false
}
