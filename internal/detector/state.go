package detector

import (
	"maps"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

// dropRun is how long before a dropDatabase the drops of its collections may lie.
const dropRun = time.Minute

// State is what the detector knows before a unit: the catalog, the index builds in
// progress and the drops that a dropDatabase may follow. The zero value knows nothing.
type State struct {
	schema.Catalog
	builds map[oplog.UUID]Build
	// drops are, by database, the drops since anything else happened there.
	drops map[string][]drop
}

type drop struct {
	collection string
	wall       time.Time
	// empty reports whether it is known to have held no documents.
	empty bool
}

// Build is an index build whose end has not been read yet.
type Build struct {
	Namespace schema.Namespace
	Started   time.Time
}

// NewState returns the state that begins with a stored catalog.
func NewState(known schema.Catalog) *State { return &State{Catalog: known} }

// BuildsInProgress counts the index builds whose start was read, and not their end.
func (s *State) BuildsInProgress() int { return len(s.builds) }

// KeepBuilds copies the builds in progress of another state: versions do not hold them.
func (s *State) KeepBuilds(from *State) { s.builds = maps.Clone(from.builds) }

// AdvanceTo applies the expected versions whose time is before ts: those that an
// entry at ts sees.
func (s *State) AdvanceTo(ts bson.Timestamp) {
	for _, v := range s.Catalog.AdvanceTo(ts) {
		s.forgetBuilds(v)
	}
}

// Apply applies the result of a unit. It keeps copies.
func (s *State) Apply(r Result) {
	for _, v := range r.Versions {
		s.Set(v)
		s.forgetBuilds(v)
	}
	for _, change := range r.Changes {
		s.noteDrop(change)
	}
	for id, b := range r.builds {
		if b == nil {
			delete(s.builds, id)
			continue
		}
		if s.builds == nil {
			s.builds = map[oplog.UUID]Build{}
		}
		s.builds[id] = *b
	}
}

// forgetBuilds removes the builds of a namespace that was dropped.
func (s *State) forgetBuilds(v schema.Version) {
	if v.Definition == nil {
		maps.DeleteFunc(s.builds, func(_ oplog.UUID, b Build) bool { return b.Namespace == v.Namespace })
	}
}

// noteDrop keeps the run of drops that a dropDatabase would end.
func (s *State) noteDrop(change notification.Change) {
	if change.Operation != notification.DropCollection && change.Operation != notification.DropView {
		delete(s.drops, change.Database)
		return
	}
	if s.drops == nil {
		s.drops = map[string][]drop{}
	}
	s.drops[change.Database] = append(s.drops[change.Database], drop{
		collection: change.Collection, wall: change.Wall, empty: change.Empty || change.Operation == notification.DropView,
	})
}

// droppedWithDatabase lists what was dropped as part of a dropDatabase at that time, and
// reports whether all of it is known to have held no documents.
func (s *State) droppedWithDatabase(db string, at time.Time) (names []string, empty bool) {
	empty = true
	for _, d := range s.drops[db] {
		if at.Sub(d.wall) <= dropRun {
			names = append(names, d.collection)
			empty = empty && d.empty
		}
	}
	return names, empty && len(names) > 0
}
