// Package risk classifies what a schema change can do to documents and applications.
package risk

import "slices"

// Level is the risk of a change.
type Level string

// The levels, the most severe first.
const (
	// Destructive: documents are deleted or will be deleted.
	Destructive Level = "destructive"
	// Breaking: an application may fail or slow down.
	Breaking Level = "breaking"
	// Unknown: the change is not known.
	Unknown Level = "unknown"
	// Routine: any other change.
	Routine Level = "routine"
)

// All lists the levels, the most severe first.
func All() []Level { return []Level{Destructive, Breaking, Unknown, Routine} }

// severity orders levels: the most severe is 0.
func (l Level) severity() int { return slices.Index(All(), l) }

// Compare orders levels, the most severe first.
func (l Level) Compare(other Level) int { return l.severity() - other.severity() }

// Max returns the more severe of two levels.
func (l Level) Max(other Level) Level {
	if other.Compare(l) < 0 {
		return other
	}
	return l
}
