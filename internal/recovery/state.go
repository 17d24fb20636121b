package recovery

import "slices"

// State is the state of a detector's position. The zero value is Starting.
type State string

// The states.
const (
	// Starting: nothing has been read yet.
	Starting State = ""
	// Verifying: each member in turn is read for the entry at the position.
	Verifying State = "verifying"
	// Undecided: members lack the position, and one that cannot be read may have it.
	Undecided State = "undecided"
	// Tailing: entries are read from the position on.
	Tailing State = "tailing"
	// Lost: no member has the position; the reason is a Cause.
	Lost State = "lost"
	// Comparing: the checkpoint holds this process's lease, and the catalog at the resume
	// point is derived from a snapshot.
	Comparing State = "comparing"
	// Publishing: the checkpoint has a pending comparison. Its outcome is fixed, so that any
	// process can write the gap and each difference.
	Publishing State = "publishing"
	// Reloading: the stored checkpoint is read again, since this process or another changed it.
	Reloading State = "reloading"
)

// Transition is an edge between two states.
type Transition struct {
	From, To State
	// When is its condition.
	When string
}

// Transitions lists every edge. docs/architecture.md shows the same ones.
func Transitions() []Transition {
	return []Transition{
		{Starting, Reloading, "a checkpoint is stored"},
		{Reloading, Publishing, "a comparison is pending, of this process or another"},
		{Reloading, Verifying, "no comparison is pending"},
		{Reloading, Reloading, "the sink cannot be read: retry"},
		{Verifying, Tailing, "a member holds the entry, with its term"},
		{Verifying, Reloading, "no member can be read: retry"},
		{Verifying, Undecided, "members lack the entry, not for certain"},
		{Undecided, Reloading, "retry, for up to 15 s"},
		{Verifying, Lost, "no readable member holds the entry, or the checkpoint is lost or another set's"},
		{Tailing, Reloading, "cursor lost, failover, truncated transaction, or another process compared"},
		{Tailing, Comparing, "a snapshot differs (RECONCILE), and the lease is acquired"},
		{Lost, Comparing, "the lease is acquired (30 s)"},
		{Lost, Reloading, "another process has the lease, or has moved the position"},
		{Comparing, Reloading, "recorded by compare-and-set, by this process or a faster one; or failed"},
		{Comparing, Publishing, "a snapshot's differences are recorded"},
		{Comparing, Tailing, "another process has compared since"},
		{Publishing, Publishing, "a second comparison is pending"},
		{Publishing, Reloading, "everything is written, the checkpoint is at the resume point; or failed"},
		{Publishing, Verifying, "everything is written, the checkpoint is at the resume point"},
		{Publishing, Tailing, "a snapshot's differences are written"},
	}
}

// Machine is the current state. The zero value is Starting.
type Machine struct{ state State }

// State returns the current state.
func (m *Machine) State() State { return m.state }

// Enter changes the state, and reports whether Transitions has that edge.
func (m *Machine) Enter(to State) bool {
	from := m.state
	m.state = to
	return slices.ContainsFunc(Transitions(), func(t Transition) bool { return t.From == from && t.To == to })
}
