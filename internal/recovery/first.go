package recovery

import (
	"time"

	"github.com/ddltail/ddltail/internal/oplog"
)

// Stored is the state of a source in the database, apart from the checkpoint of a NAME.
type Stored struct {
	// OtherNames is true if another NAME of the source has a checkpoint.
	OtherNames bool
	// Catalog is the position of the newest version, Published of the newest document of the
	// history, and FirstBehind of the first document after Catalog. Zero for none.
	Catalog, Published, FirstBehind oplog.Moment
}

// PresumedPosition returns where a NAME without a checkpoint continues, and whether it had one:
// if the source has a history or a catalog, the checkpoint was deleted. The catalog is written
// last, so that everything up to its newest version has been published; later changes in the
// history may not be in every sink.
func PresumedPosition(s Stored) (at Resume, lost bool) {
	switch {
	case s.OtherNames:
		return Resume{}, false
	case !s.Catalog.IsZero() && s.FirstBehind.IsZero():
		return Resume{At: s.Catalog}, true
	case !s.Catalog.IsZero():
		return Resume{At: s.FirstBehind, Inclusive: true}, true
	}
	return Resume{At: s.Published, Inclusive: true}, !s.Published.IsZero()
}

// Requested is where a first run starts; the zero value means now.
type Requested struct {
	Oldest bool
	At     time.Time
}

// Ends are the entries of a member's oplog that a first run can start at.
type Ends struct {
	Oldest, Head oplog.Moment
	// FirstSince is the first entry at or after the requested time; zero for none.
	FirstSince oplog.Moment
}

// FirstPosition returns where a first run starts.
func FirstPosition(r Requested, e Ends) Resume {
	switch {
	case r.Oldest, r.TooEarly(e):
		return Resume{At: e.Oldest, Inclusive: true}
	case r.At.IsZero(), e.FirstSince.IsZero():
		return Resume{At: e.Head}
	}
	return Resume{At: e.FirstSince, Inclusive: true}
}

// TooEarly reports whether the oplog begins after the requested time.
func (r Requested) TooEarly(e Ends) bool {
	return !r.Oldest && !r.At.IsZero() && r.At.Before(e.Oldest.Time())
}
