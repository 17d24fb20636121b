// Package migration plans the mongosh script that creates a schema, or changes one into another.
//
// It is pure: it does no I/O.
package migration

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/schema"
)

// Policy is what a script may do to documents. The zero value drops no collection; what can delete some documents of one, such as a smaller
// capped size, it writes with a warning.
type Policy int

const (
	// KeepDocuments replaces every statement that would drop a collection, and those that need its
	// name, by a comment with the reason.
	KeepDocuments Policy = iota
	// AllowDestructive drops objects that do not exist in the target schema, and drops and
	// recreates those that collMod cannot change.
	AllowDestructive
	// KeepObjects also replaces every statement that drops or rebuilds an index or a view,
	// converts a collection to capped, or expires documents sooner than before.
	KeepObjects
)

// plan groups the steps by the order in which they can run.
type plan struct {
	policy                                      Policy
	drops, moves, changes, creates, viewChanges Script
	views                                       []schema.Named
	renames                                     []schema.Difference
	// rebuilt are the views that are dropped first.
	rebuilt map[schema.Namespace]bool
	// kept are the names that remain in use because the policy keeps their collections.
	kept map[schema.Namespace]bool
}

// Lead returns the script that changes one schema into the other: drops, renames, changes, then
// creations. Changes that collMod cannot make are withheld, or the object is dropped and recreated
// if the policy allows it.
func Lead(from, to schema.Definitions, policy Policy) Script {
	differences := schema.Diff(from, to, schema.ByName)
	p := plan{policy: policy}
	if policy != AllowDestructive {
		p.kept = keptNames(differences)
	}
	for _, d := range differences {
		switch {
		case d.To == nil && p.kept[d.From.Namespace]:
			p.withhold("NOT DROPPED: " + mongosh.Quote(d.From.Namespace.String()) + " does not exist in the target schema; a drop would delete its documents")
		case d.To == nil:
			p.drop(*d.From, "")
		case d.From == nil && p.kept[d.To.Namespace]:
			p.withhold("NOT CREATED: " + mongosh.Quote(d.To.Namespace.String()) + " is the name of a collection that is not dropped or renamed")
		case d.From == nil:
			p.create(*d.To)
		case d.Renamed() && p.kept[d.To.Namespace]:
			p.withhold("NOT RENAMED: " + mongosh.Quote(d.From.Namespace.String()) + " to " + mongosh.Quote(d.To.Namespace.String()) +
				", the name of a collection that is not dropped or renamed; its other differences are omitted")
		default:
			p.change(*d.From, *d.To)
		}
	}
	p.move(from)
	script := append(p.drops, p.moves...)
	script = append(script, p.changes...)
	script = append(script, p.creates...)
	script = append(script, createViews(p.views, p.rebuilt)...)
	script = append(script, p.viewChanges...)
	if policy == KeepObjects {
		return script.withoutDrops()
	}
	return script
}

// keptNames returns the names that remain in use if no collection is dropped: those of the kept
// collections, and of collections that would be renamed to one of them.
func keptNames(differences []schema.Difference) map[schema.Namespace]bool {
	kept := map[schema.Namespace]bool{}
	for _, d := range differences {
		if d.To == nil && d.From.Definition.Kind != schema.KindView {
			kept[d.From.Namespace] = true
		}
	}
	for changed := true; changed; {
		changed = false
		for _, d := range differences {
			if d.Renamed() && kept[d.To.Namespace] && !kept[d.From.Namespace] {
				kept[d.From.Namespace], changed = true, true
			}
		}
	}
	return kept
}

// withhold adds a comment instead of statements that would drop a collection.
func (p *plan) withhold(why string) {
	p.changes = append(p.changes, Step{Withheld: true, Warning: why + " (--allow-destructive)"})
}

func (p *plan) create(n schema.Named) {
	if n.Definition.Kind == schema.KindView {
		p.views = append(p.views, n)
		return
	}
	p.creates = append(p.creates, create(n)...)
}

// drop drops a namespace; why is empty if the target schema has none with this name.
func (p *plan) drop(n schema.Named, why string) {
	db, coll := n.Namespace.Database, n.Namespace.Collection
	if n.Definition.Kind == schema.KindView {
		s := step(mongosh.DropView(db, coll), "drop the view", n.Namespace)
		s.Drops = true
		p.drops = append(p.drops, s)
		return
	}
	s := step(mongosh.DropCollection(db, coll, n.Definition.Options), "drop", n.Namespace)
	if s.Warning != "" {
		s.Warning += "; "
	}
	s.Warning += "DATA IS LOST: " + mongosh.Quote(n.Namespace.String()) + " is dropped with its documents" + why
	s.Destroys, s.Drops = true, true
	p.drops = append(p.drops, s)
}

// recreate creates a namespace that was dropped for a rebuild.
func (p *plan) recreate(n schema.Named) {
	if n.Definition.Kind != schema.KindView {
		for _, s := range create(n) {
			s.Drops = true
			p.creates = append(p.creates, s)
		}
		return
	}
	p.views = append(p.views, n)
	if p.rebuilt == nil {
		p.rebuilt = map[schema.Namespace]bool{}
	}
	p.rebuilt[n.Namespace] = true
}

// rebuild drops and recreates a namespace, if the policy allows that or if it is a view, which has
// no documents. Otherwise the difference is a comment.
func (p *plan) rebuild(from, to schema.Named, difference string) {
	if p.policy == AllowDestructive || from.Definition.Kind == schema.KindView {
		p.drop(from, " and recreated: collMod cannot change it "+difference)
		p.recreate(to)
		return
	}
	p.withhold("NOT CHANGED: " + mongosh.Quote(from.Namespace.String()) + " differs " + difference +
		"; collMod cannot change that, it would have to be dropped with its documents and recreated")
}

// change plans the steps from one definition to the other, in place if possible.
func (p *plan) change(from, to schema.Named) {
	if from.Definition.Kind == schema.KindView && to.Definition.Kind == schema.KindView {
		if sameSources(from.Definition, to.Definition) {
			text := mongosh.ModifyView(to.Namespace.Database, to.Namespace.Collection, to.Definition.Options)
			p.viewChanges = append(p.viewChanges, step(text, "change the view", to.Namespace))
			return
		}
		p.drop(from, "")
		p.recreate(to)
		return
	}
	var toCapped Script
	if from.Definition.Kind == schema.KindCollection && p.policy != KeepObjects && becomesCapped(from.Definition.Options, to.Definition.Options) {
		toCapped = Script{convertToCapped(to)}
		toCapped[0].Warning = "DATA MAY BE LOST: " + mongosh.Quote(to.Namespace.String()) + " keeps only the documents that fit its new size"
		toCapped[0].Destroys = true
		from.Definition.Options, from.Definition.Indexes = to.Definition.Options, nil
	}
	if from.Definition.Kind != to.Definition.Kind {
		p.rebuild(from, to, "from "+string(from.Definition.Kind)+" to "+string(to.Definition.Kind))
		return
	}
	options, fixed := changeOptions(to.Namespace, from.Definition, to.Definition)
	if len(fixed) > 0 {
		if p.rebuild(from, to, "in "+strings.Join(fixed, ", ")); p.policy == AllowDestructive {
			return
		}
	}
	if from.Namespace != to.Namespace {
		p.renames = append(p.renames, schema.Difference{From: &from, To: &to})
	}
	indexes := changeIndexes(to, from.Definition)
	p.changes = append(p.changes, toCapped...)
	p.changes = append(p.changes, indexes.first...)
	p.changes = append(p.changes, options...)
	p.changes = append(p.changes, indexes.creates...)
	p.changes = append(p.changes, indexes.last...)
}

// move orders the renames so that each new name is free when it is needed. If they form a cycle, one
// collection is first renamed to an unused name.
func (p *plan) move(from schema.Definitions) {
	waiting := p.renames
	taken := map[schema.Namespace]bool{}
	for _, d := range waiting {
		taken[d.From.Namespace] = true
	}
	for len(waiting) > 0 {
		var later []schema.Difference
		for _, d := range waiting {
			if taken[d.To.Namespace] {
				later = append(later, d)
				continue
			}
			p.rename(d.From.Namespace, d.To.Namespace.Collection)
			delete(taken, d.From.Namespace)
		}
		if len(later) == len(waiting) {
			d := later[0]
			aside := freeName(from, d.From.Namespace.Database, len(p.moves))
			p.rename(d.From.Namespace, aside.Collection)
			delete(taken, d.From.Namespace)
			later[0].From = &schema.Named{Namespace: aside, Definition: d.From.Definition}
		}
		waiting = later
	}
}

func freeName(s schema.Definitions, db string, n int) schema.Namespace {
	for {
		ns := schema.Namespace{Database: db, Collection: fmt.Sprintf("ddltail.moving.%d", n)}
		if _, there := s[ns]; !there {
			return ns
		}
		n++
	}
}

func (p *plan) rename(from schema.Namespace, to string) {
	p.moves = append(p.moves, step(mongosh.RenameCollection(from.Database, from.Collection, to), "rename to "+to, from))
}

// modify returns the step of a collMod.
func modify(ns schema.Namespace, parameters bson.D) Step {
	raw, err := bson.Marshal(parameters)
	if err != nil {
		return step("", "change the options of", ns)
	}
	return step(mongosh.ModifyCollection(ns.Database, ns.Collection, raw), "change the options of", ns)
}
