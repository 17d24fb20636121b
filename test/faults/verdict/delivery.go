package verdict

import (
	"cmp"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/faults/ledger"
)

// receipt is one notification received by a sink.
type receipt struct {
	ledger.Document
	// decoded is false if only the _id is known.
	decoded bool
	// again is true for a further copy of one _id; removed if it was removed before.
	again, removed bool
}

// delivery holds what a sink received since it was last dropped.
type delivery struct {
	sink     ledger.Sink
	receipts []receipt
	// dropped is when it was last dropped; zero for never.
	dropped bson.Timestamp
	gaps    []gap
}

// gap is the interval of a HISTORY_GAP.
type gap struct {
	id       string
	from, to bson.Timestamp
}

// delivered collects the receipts of a sink.
func (j *judge) delivered(sink ledger.Sink) delivery {
	d := delivery{sink: sink}
	seen := map[string]bool{}
	for _, w := range j.run.Writes {
		if w.Sink != sink.Name {
			continue
		}
		switch w.Action {
		case ledger.Drop:
			d = delivery{sink: sink, dropped: w.Written}
			seen = map[string]bool{}
		case ledger.Remove:
			if _, known := seen[w.ID]; known {
				seen[w.ID] = true
			}
		case ledger.Insert:
			r := receipt{Document: ledger.Document{ID: w.ID}, decoded: w.Document != nil}
			if r.decoded {
				var err error
				if r.Document, err = ledger.Decode(w.Document); err != nil {
					j.violated(Committed, sink.Name, "cannot be decoded: %s: %v", w.ID, err)
					continue
				}
			}
			r.removed, r.again = seen[w.ID]
			seen[w.ID] = false
			d.receipts = append(d.receipts, r)
			if r.Effect.Operation == "HISTORY_GAP" {
				d.gaps = append(d.gaps, gap{r.ID, moment(r.Raw, "from"), moment(r.Raw, "to")})
			}
		}
	}
	return d
}

func moment(doc bson.Raw, field string) bson.Timestamp {
	t, i, _ := doc.Lookup(field, "ts").TimestampOK()
	return bson.Timestamp{T: t, I: i}
}

// excused reports whether a change is within a gap, so that it does not have to be reported from the oplog.
func (d delivery) excused(lost ledger.Lost, at bson.Timestamp) bool {
	return slices.ContainsFunc(d.gaps, func(g gap) bool {
		switch lost {
		case ledger.Truncated: // the entry at the gap's end is the first that is not lost
			return at.After(g.from) && at.Before(g.to)
		case ledger.Replaced: // of another history only what exists at the gap's end is reported
			return !at.After(g.to)
		}
		return false
	})
}

// content identifies a change: documents with equal content report the same one.
type content struct {
	ledger.Effect
	OpTime ledger.OpTime
}

// places finds the place of a change in the oplog. If several changes have the same content, their documents are in oplog
// order.
type places struct {
	ofContent map[content][]int
	ofID      map[string]int
	taken     map[int]bool
}

func (j *judge) places() places {
	p := places{map[content][]int{}, map[string]int{}, map[int]bool{}}
	for i, c := range j.run.Changes {
		k := content{c.Effect, c.OpTime}
		p.ofContent[k] = append(p.ofContent[k], i)
		p.ofID[c.ID(j.run.Source)] = i
	}
	return p
}

// take returns the first free place of a receipt, and the number of its candidates.
func (p places) take(r receipt) (place, candidates int) {
	all := p.ofContent[content{r.Effect, r.OpTime}]
	if i, ok := p.ofID[r.ID]; ok && !r.decoded {
		all = []int{i}
	}
	for _, place := range all {
		if !p.taken[place] {
			p.taken[place] = true
			return place, len(all)
		}
	}
	return -1, len(all)
}

// placed is a receipt with the place of its change in the oplog.
type placed struct {
	id    string
	place int
}

// delivery compares what a sink received with the changes in the oplog.
func (j *judge) delivery(sink ledger.Sink) delivery {
	d := j.delivered(sink)
	p := j.places()
	count := Received{Sink: sink.Name}
	var received []placed
	newest := ""
	for _, r := range d.receipts {
		at := r.at(j.run.Source)
		if !j.within(at) || d.excused(j.run.Lost, at) && j.run.Lost == ledger.Replaced {
			continue
		}
		if sink.Repeats && r.again && r.ID <= newest {
			count.Repeated++
			continue
		}
		newest = max(newest, r.ID)
		if place, ok := j.place(d, p, r); ok {
			received = append(received, placed{r.ID, place})
		}
	}
	for i, c := range j.run.Changes {
		if !j.within(c.OpTime.TS) || d.excused(j.run.Lost, c.OpTime.TS) || c.OpTime.TS.Before(d.dropped) || sink.Partial {
			continue
		}
		if count.Required++; !p.taken[i] {
			j.violated(Complete, sink.Name, "lost: %s %s", c.ID(j.run.Source), c.Effect)
		}
	}
	count.Notified = len(received)
	j.verdict.Received = append(j.verdict.Received, count)
	j.order(sink.Name, "written", received)
	slices.SortStableFunc(received, func(a, b placed) int { return cmp.Compare(a.id, b.id) })
	j.order(sink.Name, "by _id", received)
	return d
}

// place finds the change that a receipt reports.
func (j *judge) place(d delivery, p places, r receipt) (int, bool) {
	sink := d.sink.Name
	if r.again {
		how := "stored twice"
		if r.removed {
			how = "written again after it was removed"
		}
		j.violated(Unique, sink, "%s: %s %s", how, r.ID, r.Effect)
		return 0, false
	}
	place, candidates := p.take(r)
	switch {
	case place >= 0:
		if want := j.run.Changes[place].ID(j.run.Source); r.ID != want {
			j.violated(Ordered, sink, "has the wrong _id: %s %s, want %s", r.ID, r.Effect, want)
		}
		return place, true
	case candidates > 0:
		j.violated(Unique, sink, "reported twice: %s %s", r.ID, r.Effect)
	default:
		j.violated(Committed, sink, "did not happen: %s %s at %v", r.ID, r.Effect, r.OpTime)
	}
	return 0, false
}

// at returns the timestamp of the receipt's change; zero if it is not from the oplog.
func (r receipt) at(source string) bson.Timestamp {
	if r.decoded {
		if !r.FromOplog() {
			return bson.Timestamp{}
		}
		return r.OpTime.TS
	}
	var at bson.Timestamp
	var n int
	if _, err := fmt.Sscanf(r.ID, source+":%d:%d:%d", &at.T, &at.I, &n); err != nil {
		return bson.Timestamp{}
	}
	return at
}

func (j *judge) order(sink, by string, received []placed) {
	newest := -1
	for _, r := range received {
		if r.place < newest {
			j.violated(Ordered, sink, "out of order, %s: %s", by, r.id)
		}
		newest = max(newest, r.place)
	}
}
