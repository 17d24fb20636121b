package recovery

import (
	"fmt"

	"github.com/ddltail/ddltail/internal/oplog"
)

// Held describes the oplog of the selected member, and the position to recover.
type Held struct {
	Position  oplog.Moment
	Inclusive bool
	// AtPosition is the entry at the position's timestamp, ChainEnd the last entry of the
	// broken transaction; zero if the member lacks them.
	AtPosition, ChainEnd oplog.Moment
	// Oldest is the oldest entry, Listed the position of the catalog snapshot.
	Oldest, Listed oplog.Moment
}

// Resume is where reading resumes. If Inclusive, the entry at At is still to be published.
type Resume struct {
	At        oplog.Moment
	Inclusive bool
}

// ResumePoint returns the first entry after the gap that the member has and that is not yet
// published. After OtherHistory no entry is published, and reading resumes at the snapshot. It
// returns an error while the clock of the new history has not passed the position: its documents
// could get _ids that the lost history has used.
func ResumePoint(cause Cause, h Held) (Resume, error) {
	switch {
	case cause == BrokenTransaction && !h.ChainEnd.IsZero():
		return Resume{At: h.ChainEnd}, nil
	case cause == CheckpointLost && h.AtPosition.OpTime == h.Position.OpTime:
		return Resume{At: h.Position, Inclusive: h.Inclusive}, nil
	case cause != OtherHistory && h.Oldest.TS.After(h.Position.TS):
		return Resume{At: h.Oldest, Inclusive: true}, nil
	case !h.Listed.TS.After(h.Position.TS):
		return Resume{}, fmt.Errorf("the replica set has another history at %s; its clock has not reached the checkpoint %s yet",
			h.Listed, h.Position)
	}
	return Resume{At: h.Listed}, nil
}
