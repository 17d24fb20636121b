package detector

import (
	"maps"
	"slices"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/schema"
)

// Differences infers the changes between two catalogs without the entries in between: drops
// before renames before creations, each in the order of names, so that the changes can be
// repeated one after the other. Collections are matched by UUID.
func (d Detector) Differences(before, after []schema.Version) []notification.Change {
	c := newComparison(d.visible(before), d.visible(after))
	changes := slices.Concat(c.drops(), c.indexDrops(), c.renames(), c.modifications(), c.creations(), c.indexCreations())
	for i := range changes {
		changes[i].Ordinal = i
	}
	return changes
}

// visible returns the definitions that are in scope.
func (d Detector) visible(versions []schema.Version) schema.Definitions {
	out := schema.Definitions{}
	for _, v := range versions {
		if v.Definition != nil && !v.Definition.Temporary && d.watch.Includes(v.Namespace) {
			out[v.Namespace] = *v.Definition
		}
	}
	return out
}

// comparison is two catalogs side by side.
type comparison struct {
	before, after schema.Definitions
	// names maps the name after to the name before, for namespaces in both catalogs.
	names map[schema.Namespace]schema.Namespace
}

func newComparison(before, after schema.Definitions) comparison {
	c := comparison{before: before, after: after, names: map[schema.Namespace]schema.Namespace{}}
	for _, p := range schema.Pairs(before, after, schema.ByIdentity) {
		if p.From != nil && p.To != nil {
			c.names[p.To.Namespace] = p.From.Namespace
		}
	}
	return c
}

// matched lists, by name, the namespaces that are in both catalogs and satisfy a condition.
func (c comparison) matched(wanted func(before, after schema.Definition) bool) []schema.Namespace {
	return sorted(c.after, func(ns schema.Namespace) bool {
		from, ok := c.names[ns]
		return ok && wanted(c.before[from], c.after[ns])
	})
}

func sorted(all schema.Definitions, wanted func(schema.Namespace) bool) []schema.Namespace {
	var out []schema.Namespace
	for ns := range all {
		if wanted(ns) {
			out = append(out, ns)
		}
	}
	slices.SortFunc(out, schema.Namespace.Compare)
	return out
}

func (c comparison) drops() []notification.Change {
	kept := map[schema.Namespace]bool{}
	for _, from := range c.names {
		kept[from] = true
	}
	var out []notification.Change
	for _, ns := range sorted(c.before, func(ns schema.Namespace) bool { return !kept[ns] }) {
		def := c.before[ns]
		if def.Kind == schema.KindView {
			out = append(out, dropViewChange(ns, def.Options))
			continue
		}
		out = append(out, dropCollectionChange(ns, def, true))
	}
	return out
}

// renames returns the renames in an order in which each new name is free. If names were swapped,
// there is no such order: one of them first gets a temporary name.
func (c comparison) renames() []notification.Change {
	var out []notification.Change
	taken := map[schema.Namespace]schema.Namespace{} // by the current name, the new name
	for to, from := range c.names {
		if to != from {
			taken[from] = to
		}
	}
	move := func(from, to schema.Namespace) {
		change := renameChange(rename{from: from, to: to})
		change.UUID = c.after[to].UUID
		out = append(out, change)
	}
	for len(taken) > 0 {
		waiting := slices.SortedFunc(maps.Keys(taken), schema.Namespace.Compare)
		free := slices.IndexFunc(waiting, func(from schema.Namespace) bool { _, used := taken[taken[from]]; return !used })
		from := waiting[max(free, 0)]
		to := taken[from]
		delete(taken, from)
		if free < 0 {
			aside := schema.Namespace{Database: from.Database, Collection: from.Collection + ".renamed"}
			move(from, aside)
			taken[aside] = to
			continue
		}
		move(from, to)
	}
	return out
}

func (c comparison) modifications() []notification.Change {
	var out []notification.Change
	differ := func(before, after schema.Definition) bool {
		return before.Known() && after.Known() && !schema.EquivalentOptions(before.Options, after.Options)
	}
	for _, ns := range c.matched(differ) {
		before, after := c.before[c.names[ns]], c.after[ns]
		if after.Kind == schema.KindView {
			out = append(out, modifyViewChange(ns, before.Options, after.Options))
			continue
		}
		change := modifiedCollection(ns, mongosh.Modification{
			Changes: schema.OptionChanges(before.Options, after.Options), Options: before.Options,
		})
		change.Before, change.After, change.UUID = before.Options, after.Options, after.UUID
		out = append(out, change)
	}
	for _, ns := range c.matched(bothKnown) {
		before, after := c.before[c.names[ns]], c.after[ns]
		for _, spec := range after.Indexes {
			old := before.Index(schema.IndexName(spec))
			if params := schema.IndexChanges(old, spec); params != nil {
				change := modifiedCollection(ns, mongosh.Modification{Changes: params, Index: old})
				change.IndexName, change.Before, change.After, change.UUID = schema.IndexName(spec), old, spec, after.UUID
				out = append(out, change)
			}
		}
	}
	return out
}

func bothKnown(before, after schema.Definition) bool { return before.Known() && after.Known() }

func (c comparison) creations() []notification.Change {
	isNew := func(kind func(schema.Kind) bool) []schema.Namespace {
		return sorted(c.after, func(ns schema.Namespace) bool {
			_, old := c.names[ns]
			return !old && kind(c.after[ns].Kind)
		})
	}
	var out []notification.Change
	for _, ns := range isNew(func(k schema.Kind) bool { return k != schema.KindView }) {
		def := c.after[ns]
		change := createCollectionChange(ns, def)
		if !def.Known() && def.Kind == schema.KindTimeSeries {
			change.Mongosh, change.Undo = "", "" // a plain collection would be something else
		}
		out = append(out, change)
		for _, spec := range def.Indexes {
			index := createIndexChange(ns, def, spec)
			index.New = true
			out = append(out, index)
		}
	}
	for _, ns := range isNew(func(k schema.Kind) bool { return k == schema.KindView }) {
		out = append(out, createCollectionChange(ns, c.after[ns]))
	}
	return out
}

// indexDrops returns the dropped indexes with the namespace's old name, since they come before
// the renames. An index that collMod cannot change into the new one was dropped and recreated.
func (c comparison) indexDrops() []notification.Change {
	var out []notification.Change
	for _, ns := range c.matched(bothKnown) {
		from := c.names[ns]
		before, after := c.before[from], c.after[ns]
		for _, spec := range before.Indexes {
			if now := after.Index(schema.IndexName(spec)); now == nil || schema.NeedsRebuild(spec, now) {
				change := dropIndexChange(from, before, schema.IndexName(spec), spec)
				change.UUID = before.UUID
				out = append(out, change)
			}
		}
	}
	return out
}

func (c comparison) indexCreations() []notification.Change {
	var out []notification.Change
	for _, ns := range c.matched(bothKnown) {
		before, after := c.before[c.names[ns]], c.after[ns]
		for _, spec := range after.Indexes {
			if old := before.Index(schema.IndexName(spec)); old == nil || schema.NeedsRebuild(old, spec) {
				out = append(out, createIndexChange(ns, after, spec))
			}
		}
	}
	return out
}
