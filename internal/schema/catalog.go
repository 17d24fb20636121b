package schema

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
)

// Catalog is the known definitions of all namespaces at one optime. It is a fold over versions:
// the same versions in the same order result in the same catalog.
//
// The zero value is empty.
type Catalog struct {
	current map[Namespace]Definition
	// ahead are versions later than the applied ones: from a listing at a position that the
	// reader has not reached yet, or from a run that ended before its checkpoint was saved. They
	// are applied at their optime.
	ahead []Version
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
	SortVersions(out)
	return out
}

// In lists a database's namespaces of one kind, by name.
func (c *Catalog) In(db string, kind Kind) []Namespace {
	var out []Namespace
	for ns, d := range c.current {
		if ns.Database == db && d.Kind == kind {
			out = append(out, ns)
		}
	}
	slices.SortFunc(out, func(a, b Namespace) int { return strings.Compare(a.Collection, b.Collection) })
	return out
}

// temporary returns whether a collection is temporary, by UUID.
func (c *Catalog) temporary() map[oplog.UUID]bool {
	out := make(map[oplog.UUID]bool, len(c.current))
	for _, d := range c.current {
		out[d.UUID] = d.Temporary
	}
	return out
}

// Expect adds a version to be applied at its optime.
func (c *Catalog) Expect(v Version) {
	at, _ := slices.BinarySearchFunc(c.ahead, v, func(a, b Version) int { return a.OpTime.TS.Compare(b.OpTime.TS) })
	c.ahead = slices.Insert(c.ahead, at, v)
}

// AdvanceTo applies the expected versions whose time is before ts, and returns them.
func (c *Catalog) AdvanceTo(ts bson.Timestamp) []Version {
	due := 0
	for due < len(c.ahead) && c.ahead[due].OpTime.TS.Before(ts) {
		c.Set(c.ahead[due])
		due++
	}
	applied := c.ahead[:due]
	c.ahead = c.ahead[due:]
	return applied
}

// Set makes a copy of a version the current one of its namespace.
func (c *Catalog) Set(v Version) {
	if v.Definition == nil {
		delete(c.current, v.Namespace)
		return
	}
	if c.current == nil {
		c.current = map[Namespace]Definition{}
	}
	def := v.Definition.Clone()
	def.Since = v.OpTime
	c.current[v.Namespace] = def
}

// SortVersions sorts by the names of the namespaces.
func SortVersions(versions []Version) {
	slices.SortFunc(versions, func(a, b Version) int { return strings.Compare(a.Namespace.String(), b.Namespace.String()) })
}
