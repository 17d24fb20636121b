package detector

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
)

// Rewind reverts a catalog: beginning with a listing, it reverts one unit after the other, the
// newest first. Most entries contain the state before them. The definition of a dropped
// collection, which its entry does not contain, is the last known one with its UUID; without
// one, the collection is restored without a definition.
type Rewind struct {
	detector  Detector
	lastKnown *schema.Catalog
	byUUID    map[oplog.UUID]schema.Definition
	state     map[schema.Namespace]schema.Definition
	// unlisted are the namespaces that the listing does not cover; they remain unlisted unless an entry defines them.
	unlisted []schema.Unlisted
}

// NewRewind begins with a listing at one position.
func NewRewind(d Detector, now schema.Listed, lastKnown *schema.Catalog) *Rewind {
	r := &Rewind{detector: d, lastKnown: lastKnown, byUUID: map[oplog.UUID]schema.Definition{}, state: map[schema.Namespace]schema.Definition{}}
	for _, v := range lastKnown.All() {
		if !v.Definition.UUID.IsZero() {
			r.byUUID[v.Definition.UUID] = *v.Definition
		}
	}
	for _, v := range now.Versions {
		r.put(v.Namespace, *v.Definition)
	}
	r.unlisted = slices.Clone(now.Unlisted)
	return r
}

// Undo reverts a unit. Operations that do not have their command's structure are ignored.
func (r *Rewind) Undo(u oplog.Unit) {
	for _, e := range slices.Backward(u.Operations) {
		switch e.Op {
		case oplog.OpCommand:
			if row, op, ok := r.detector.commandOf(e); ok && row.rewind != nil && !r.onUnusedBuckets(op) {
				row.rewind(r, op)
			}
		case oplog.OpInsert, oplog.OpUpdate, oplog.OpDelete:
			if db, ok := strings.CutSuffix(e.NS, "."+schema.ViewsCollection); ok {
				r.view(e, db)
			}
		}
	}
}

func (r *Rewind) onUnusedBuckets(op operation) bool {
	return op.bucketed && r.state[op.ns].Kind == schema.KindCollection
}

// Listed returns the catalog at the position reached, without optimes, in the order of names.
// If Definition.Known is false, only the name of a namespace is known.
func (r *Rewind) Listed() schema.Listed {
	out := make([]schema.Version, 0, len(r.state))
	for ns, def := range r.state {
		out = append(out, schema.Version{Namespace: ns, Definition: &def})
	}
	schema.SortVersions(out)
	return schema.Listed{Versions: out, Unlisted: r.unlisted}
}

func (r *Rewind) put(ns schema.Namespace, def schema.Definition) {
	r.resolve(ns)
	if r.detector.watch.Includes(ns) {
		r.state[ns] = def
	}
}

// restore adds a dropped collection.
func (r *Rewind) restore(ns schema.Namespace, id oplog.UUID, kind schema.Kind) {
	def, ok := r.byUUID[id]
	if !ok {
		def = schema.Definition{Kind: kind, UUID: id, Temporary: r.detector.generated.CreatedByServer(ns.Collection)}
	}
	r.put(ns, def)
}

// remove reverts the creation of a namespace.
func (r *Rewind) remove(ns schema.Namespace) {
	r.resolve(ns)
	delete(r.state, ns)
}

// resolve records that an entry defines a namespace, which is then no longer unlisted.
func (r *Rewind) resolve(ns schema.Namespace) {
	r.unlisted = slices.DeleteFunc(r.unlisted, func(u schema.Unlisted) bool { return u.Namespace == ns })
}

func uncreate(r *Rewind, op operation) { r.remove(op.ns) }

func undrop(r *Rewind, op operation) {
	if op.ns.Collection != schema.ViewsCollection {
		kind := schema.KindCollection
		if op.bucketed {
			kind = schema.KindTimeSeries
		}
		r.restore(op.ns, op.UUID, kind)
		return
	}
	for _, ns := range r.lastKnown.In(op.ns.Database, schema.KindView) {
		if _, there := r.state[ns]; !there {
			r.restoreView(ns)
		}
	}
}

func (r *Rewind) restoreView(ns schema.Namespace) {
	def, ok := r.lastKnown.Lookup(ns)
	if !ok || def.Kind != schema.KindView {
		def = schema.Definition{Kind: schema.KindView}
	}
	r.put(ns, def)
}

// unindex reverts a createIndexes, whose spec is inline, or a commitIndexBuild, which has a list
// of specs.
func unindex(r *Rewind, op operation) {
	def, ok := r.state[op.ns]
	if !ok {
		return
	}
	specs, err := rawdoc.Documents(op.Object.Lookup("indexes"))
	if err != nil {
		specs = []bson.Raw{op.Object}
		if inner, ok := op.Object.Lookup("spec").DocumentOK(); ok {
			specs[0] = inner
		}
	}
	for _, spec := range specs {
		def = def.WithoutIndex(schema.IndexName(spec))
	}
	r.put(op.ns, def)
}

func reindex(r *Rewind, op operation) {
	def, ok := r.state[op.ns]
	if !ok {
		return
	}
	if spec, exact, err := userSpec(op, def, op.Object2); err == nil && exact {
		r.put(op.ns, def.WithIndex(spec))
	}
}

func unmodify(r *Rewind, op operation) {
	def, ok := r.state[op.ns]
	if !ok || !def.Known() {
		return
	}
	if before, err := optionsBefore(op, def); err == nil {
		def.Options = before
	}
	if params, ok := op.Object.Lookup("index").DocumentOK(); ok {
		if spec := indexBefore(op, def, params); spec != nil {
			if old, err := schema.UnmodifyIndex(spec, params, oldIndexOptions(op)); err == nil {
				def = def.WithIndex(old)
			}
		}
	}
	r.put(op.ns, def)
}

func unrename(r *Rewind, op operation) {
	from, fromOK := splitNamespace(op.Object.Lookup("renameCollection"))
	to, toOK := splitNamespace(op.Object.Lookup("to"))
	if !fromOK || !toOK {
		return
	}
	moved, ok := r.state[to]
	delete(r.state, to)
	if ok {
		moved.Temporary = r.wasTemporary(from, moved)
		r.put(from, moved)
	}
	for i, u := range r.unlisted {
		if u.Namespace == to {
			r.unlisted[i].Namespace = from
		}
	}
	if hasTarget(op.Object.Lookup("dropTarget")) {
		r.restore(to, targetUUID(op, schema.Definition{}), schema.KindCollection)
	}
}

// wasTemporary reports whether a collection was temporary before a rename: according to the last
// known version of its UUID, else by its name. A collection that is temporary now was temporary
// before; a user's collection was not, regardless of its name.
func (r *Rewind) wasTemporary(from schema.Namespace, moved schema.Definition) bool {
	if def, known := r.byUUID[moved.UUID]; known {
		return def.Temporary
	}
	return moved.Temporary || r.detector.generated.CreatedByServer(from.Collection)
}

// view reverts a write to system.views, whose entry does not contain the state before.
func (r *Rewind) view(e oplog.Entry, db string) {
	full, ok := e.Object.Lookup("_id").StringValueOK()
	if e.Op == oplog.OpUpdate && !ok {
		full, ok = e.Object2.Lookup("_id").StringValueOK()
	}
	name, inDatabase := strings.CutPrefix(full, db+".")
	if !ok || !inDatabase || name == "" {
		return
	}
	ns := schema.Namespace{Database: db, Collection: name}
	if at, there := r.state[ns]; there && at.Kind != schema.KindView {
		// A time series has a view and a collection; it is tracked by its collection.
		return
	}
	if e.Op == oplog.OpInsert {
		r.remove(ns)
		return
	}
	if e.Op == oplog.OpUpdate && r.isUnlisted(ns) {
		return // it may be a time series
	}
	r.restoreView(ns)
}

func (r *Rewind) isUnlisted(ns schema.Namespace) bool {
	return slices.ContainsFunc(r.unlisted, func(u schema.Unlisted) bool { return u.Covers(ns, schema.KindView) })
}
