package migration

import (
	"slices"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
)

// Named is a namespace with its definition.
type Named struct {
	Namespace  schema.Namespace
	Definition schema.Definition
}

// Difference is one namespace that differs between two moments: From alone where it
// went, To alone where it came, both where it was changed or renamed.
type Difference struct{ From, To *Named }

// Namespace is the name by which a difference is listed: the later one.
func (d Difference) Namespace() schema.Namespace {
	if d.To != nil {
		return d.To.Namespace
	}
	return d.From.Namespace
}

func (d Difference) renamed() bool {
	return d.From != nil && d.To != nil && d.From.Namespace != d.To.Namespace
}

// Differences compares two schemas. A collection is the same one by its UUID, whatever
// its name; where the UUID is another, by its name.
func Differences(from, to Schema) []Difference {
	byUUID := map[oplog.UUID]schema.Namespace{}
	for ns, d := range from {
		if !d.UUID.IsZero() && d.Kind != schema.KindView {
			byUUID[d.UUID] = ns
		}
	}
	var all []Difference
	taken := map[schema.Namespace]bool{}
	pair := func(was, is schema.Namespace) {
		taken[was] = true
		all = append(all, Difference{
			From: &Named{Namespace: was, Definition: from[was]},
			To:   &Named{Namespace: is, Definition: to[is]},
		})
	}
	var unpaired []schema.Namespace
	for _, ns := range to.Namespaces() {
		was, known := byUUID[to[ns].UUID]
		if known && was.Database == ns.Database {
			pair(was, ns)
			continue
		}
		unpaired = append(unpaired, ns)
	}
	for _, ns := range unpaired {
		if _, there := from[ns]; there && !taken[ns] {
			pair(ns, ns)
			continue
		}
		all = append(all, Difference{To: &Named{Namespace: ns, Definition: to[ns]}})
	}
	for _, ns := range from.Namespaces() {
		if !taken[ns] {
			all = append(all, Difference{From: &Named{Namespace: ns, Definition: from[ns]}})
		}
	}
	all = slices.DeleteFunc(all, func(d Difference) bool {
		return d.From != nil && d.To != nil && !d.renamed() && d.From.Definition.Equivalent(d.To.Definition)
	})
	slices.SortStableFunc(all, func(a, b Difference) int { return compareNamespaces(a.Namespace(), b.Namespace()) })
	return all
}
