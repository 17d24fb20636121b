package schema

import (
	"maps"
	"slices"
	"strings"

	"github.com/ddltail/ddltail/internal/oplog"
)

// Definitions are the definitions of all namespaces at one position.
type Definitions map[Namespace]Definition

// Namespaces lists them in the order of their names.
func (d Definitions) Namespaces() []Namespace {
	return slices.SortedFunc(maps.Keys(d), Namespace.Compare)
}

// Compare orders namespaces by name.
func (n Namespace) Compare(other Namespace) int { return strings.Compare(n.String(), other.String()) }

// Named is a namespace with its definition.
type Named struct {
	Namespace  Namespace
	Definition Definition
}

// Difference is one namespace at two positions: only From if it was dropped, only To if it was
// created, both if it was changed or renamed.
type Difference struct{ From, To *Named }

// Namespace returns the name for the difference: the later one.
func (d Difference) Namespace() Namespace {
	if d.To != nil {
		return d.To.Namespace
	}
	return d.From.Namespace
}

// Renamed reports whether the name changed.
func (d Difference) Renamed() bool {
	return d.From != nil && d.To != nil && d.From.Namespace != d.To.Namespace
}

// Match decides whether two namespaces with the same name are the same object, if their UUIDs do
// not match them.
type Match func(before, after Definition) bool

// ByName matches namespaces with the same name: for a plan, which changes one into the other.
func ByName(Definition, Definition) bool { return true }

// ByIdentity matches namespaces that can be the same collection or view: views and the listings of
// some servers have no UUID. Collections with different UUIDs are different.
func ByIdentity(before, after Definition) bool {
	return before.Kind == after.Kind && (before.UUID.IsZero() || after.UUID.IsZero())
}

// Diff returns the differences between two sets of definitions, in the order of names.
func Diff(before, after Definitions, match Match) []Difference {
	return slices.DeleteFunc(Pairs(before, after, match), func(d Difference) bool {
		return d.From != nil && d.To != nil && !d.Renamed() && d.From.Definition.Equivalent(d.To.Definition)
	})
}

// Pairs returns every namespace of both sets, in the order of names. Collections are matched by
// UUID, regardless of their names in the database; otherwise match decides for equal names.
func Pairs(before, after Definitions, match Match) []Difference {
	byUUID := map[oplog.UUID]Namespace{}
	for ns, def := range before {
		if !def.UUID.IsZero() && def.Kind != KindView {
			byUUID[def.UUID] = ns
		}
	}
	var all []Difference
	paired := map[Namespace]bool{}
	pair := func(from, to Namespace) {
		paired[from] = true
		all = append(all, Difference{From: before.named(from), To: after.named(to)})
	}
	var unpaired []Namespace
	for _, ns := range after.Namespaces() {
		if from, known := byUUID[after[ns].UUID]; known && from.Database == ns.Database {
			pair(from, ns)
			continue
		}
		unpaired = append(unpaired, ns)
	}
	for _, ns := range unpaired {
		if old, known := before[ns]; known && !paired[ns] && match(old, after[ns]) {
			pair(ns, ns)
			continue
		}
		all = append(all, Difference{To: after.named(ns)})
	}
	for _, ns := range before.Namespaces() {
		if !paired[ns] {
			all = append(all, Difference{From: before.named(ns)})
		}
	}
	slices.SortStableFunc(all, func(a, b Difference) int { return a.Namespace().Compare(b.Namespace()) })
	return all
}

func (d Definitions) named(ns Namespace) *Named { return &Named{Namespace: ns, Definition: d[ns]} }
