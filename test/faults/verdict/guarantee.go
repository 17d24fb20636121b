// Package verdict judges the record of a run, a ledger.Run, by named guarantees. It is a pure function of the record: the fault tests
// and the command test/faults/check use it alike.
package verdict

// Name is the name of a guarantee.
type Name string

// The guarantees by which a run is judged.
const (
	Unique     Name = "unique"
	Complete   Name = "complete"
	Ordered    Name = "ordered"
	Committed  Name = "committed"
	Resumable  Name = "resumable"
	Replayable Name = "replayable"
)

// Guarantee is one criterion of a verdict.
type Guarantee struct {
	Name Name
	// Numbers are those of the guarantees in the design that it tests, most important first.
	Numbers []int
	// States is the condition that must hold.
	States string
}

// Guarantees lists all guarantees in the order of a verdict.
func Guarantees() []Guarantee {
	return []Guarantee{
		{Unique, []int{1, 3, 6},
			"no sink holds a change twice, under one _id or two; what cleanup removed is not written again; a gap and what is inferred is reported once"},
		{Complete, []int{1, 6},
			"every committed change is in every sink, and every statement that was acknowledged to the client; lost history is reported as HISTORY_GAP"},
		{Ordered, []int{1, 6},
			"changes are written in the order of the oplog, their _ids sort in it, and what is inferred names the interval in which it happened"},
		{Committed, []int{2},
			"what is reported is in the majority-committed oplog, with its optime; nothing is inferred where nothing was lost"},
		{Resumable, []int{3, 10},
			"a change is written to the history, then to the queue, then to the catalog; only then a checkpoint passes it, and never moves back; " +
				"cleanup removes nothing that is unprocessed or that the checkpoint has not passed"},
		{Replayable, []int{7},
			"the catalog that follows from the notifications is what the server lists; each of the inferred ones changes it"},
	}
}
