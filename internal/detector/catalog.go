package detector

import (
	"maps"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
)

// dropRun is how long before a dropDatabase the drops of its collections may lie.
const dropRun = time.Minute

// Catalog is what is known of all namespaces at one optime. It is a fold over
// versions: the same versions in the same order make the same catalog.
//
// The zero value knows nothing.
type Catalog struct {
	current map[Namespace]Definition
	// ahead are versions later than what has been applied: from a listing at a
	// moment that the oplog has not reached yet, or from a run that was cut before
	// its checkpoint. An entry never sees them before their time.
	ahead []Version
	// dropCollectionChange are, by database, the drops since anything else happened there.
	dropCollectionChange map[string][]drop
	builds               map[oplog.UUID]Build
}

type drop struct {
	collection string
	wall       time.Time
}

// Build is an index build whose end has not been read yet.
type Build struct {
	Namespace Namespace
	Started   time.Time
}

// Lookup returns a namespace's definition, if it is known.
func (c *Catalog) Lookup(ns Namespace) (Definition, bool) {
	d, ok := c.current[ns]
	return d, ok
}

// All returns every namespace with its definition, in the order of their names.
func (c *Catalog) All() []Version {
	out := make([]Version, 0, len(c.current))
	for ns, d := range c.current {
		out = append(out, Version{Namespace: ns, Definition: &d})
	}
	sortVersions(out)
	return out
}

func sortVersions(versions []Version) {
	slices.SortFunc(versions, func(a, b Version) int { return strings.Compare(a.Namespace.String(), b.Namespace.String()) })
}

// BuildsInProgress counts the index builds whose start was read, and not their end.
func (c *Catalog) BuildsInProgress() int { return len(c.builds) }

// KeepBuilds copies the builds in progress of another catalog: versions do not hold them.
func (c *Catalog) KeepBuilds(from *Catalog) { c.builds = maps.Clone(from.builds) }

// Expect adds a version whose time has not come.
func (c *Catalog) Expect(v Version) {
	at, _ := slices.BinarySearchFunc(c.ahead, v, func(a, b Version) int { return a.OpTime.TS.Compare(b.OpTime.TS) })
	c.ahead = slices.Insert(c.ahead, at, v)
}

// AdvanceTo applies the expected versions whose time is before ts: those that an
// entry at ts sees.
func (c *Catalog) AdvanceTo(ts bson.Timestamp) {
	for len(c.ahead) > 0 && c.ahead[0].OpTime.TS.Before(ts) {
		c.set(c.ahead[0])
		c.ahead = c.ahead[1:]
	}
}

// Apply folds in what a unit did. It keeps copies of its own.
func (c *Catalog) Apply(r Result) {
	for _, v := range r.Versions {
		c.set(v)
	}
	for _, change := range r.Changes {
		c.noteDrop(change)
	}
	for id, b := range r.builds {
		if b == nil {
			delete(c.builds, id)
			continue
		}
		if c.builds == nil {
			c.builds = map[oplog.UUID]Build{}
		}
		c.builds[id] = *b
	}
}

func (c *Catalog) set(v Version) {
	if v.Definition == nil {
		delete(c.current, v.Namespace)
		for id, b := range c.builds {
			if b.Namespace == v.Namespace {
				delete(c.builds, id)
			}
		}
		return
	}
	if c.current == nil {
		c.current = map[Namespace]Definition{}
	}
	def := v.Definition.clone()
	def.Since = v.OpTime
	c.current[v.Namespace] = def
}

// noteDrop keeps the run of drops that a dropDatabase would end.
func (c *Catalog) noteDrop(change notification.Change) {
	if change.Operation != notification.DropCollection && change.Operation != notification.DropView {
		delete(c.dropCollectionChange, change.Database)
		return
	}
	if c.dropCollectionChange == nil {
		c.dropCollectionChange = map[string][]drop{}
	}
	c.dropCollectionChange[change.Database] = append(c.dropCollectionChange[change.Database], drop{change.Collection, change.Wall})
}

// droppedWithDatabase lists what was dropped as part of a dropDatabase at that time.
func (c *Catalog) droppedWithDatabase(db string, at time.Time) []string {
	var names []string
	for _, d := range c.dropCollectionChange[db] {
		if at.Sub(d.wall) <= dropRun {
			names = append(names, d.collection)
		}
	}
	return names
}

// in lists a database's namespaces of one kind, by name.
func (c *Catalog) in(db string, kind Kind) []Namespace {
	var out []Namespace
	for ns, d := range c.current {
		if ns.Database == db && d.Kind == kind {
			out = append(out, ns)
		}
	}
	slices.SortFunc(out, func(a, b Namespace) int { return strings.Compare(a.Collection, b.Collection) })
	return out
}
