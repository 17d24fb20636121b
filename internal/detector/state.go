package detector

import (
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

// dropRun is how long before a dropDatabase its collections may have been dropped.
const dropRun = time.Minute

// State is the state before a unit: the known catalog, the index builds in progress, and the
// drops that a dropDatabase may follow. The zero value is empty.
type State struct {
	schema.Catalog
	builds map[oplog.UUID]Build
	// drops are, by database, the drops since its last other change.
	drops map[string][]drop
}

type drop struct {
	collection string
	wall       time.Time
	// empty is true if it is known to have had no documents.
	empty bool
}

// Build is an index build whose end has not been read yet.
type Build struct {
	Namespace schema.Namespace
	Started   time.Time
}

// NewState returns a state with a stored catalog.
func NewState(known schema.Catalog) *State { return &State{Catalog: known} }

// BuildsInProgress counts the index builds whose start was read, but not their end.
func (s *State) BuildsInProgress() int { return len(s.builds) }

// KeepBuilds copies the builds in progress from another state; versions do not contain them.
func (s *State) KeepBuilds(from *State) { s.builds = maps.Clone(from.builds) }

// AdvanceTo applies the expected versions whose time is before ts, to which an entry at ts
// applies.
func (s *State) AdvanceTo(ts bson.Timestamp) {
	for _, v := range s.Catalog.AdvanceTo(ts) {
		s.forgetBuilds(v)
	}
}

// Apply applies the result of a unit. It copies the versions.
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

// noteDrop records the drops that may belong to a later dropDatabase.
func (s *State) noteDrop(change notification.Change) {
	if change.Operation != notification.DropCollection && change.Operation != notification.DropView {
		delete(s.drops, change.Database)
		return
	}
	if s.drops == nil {
		s.drops = map[string][]drop{}
	}
	old := func(d drop) bool { return change.Wall.Sub(d.wall) > dropRun }
	maps.DeleteFunc(s.drops, func(_ string, all []drop) bool { return old(all[len(all)-1]) })
	s.drops[change.Database] = append(slices.DeleteFunc(s.drops[change.Database], old), drop{
		collection: change.Collection, wall: change.Wall, empty: change.Empty || change.Operation == notification.DropView,
	})
}

// droppedWithDatabase lists the namespaces that were dropped as part of a dropDatabase at a
// time, and reports whether all of them are known to have had no documents.
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
