package detector

import (
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
)

// createIndexes handles an entry whose fields are the spec. Some servers of 2025 have it in a
// field "spec".
func createIndexes(w *detection, op operation) error {
	spec, ok := op.Object.Lookup("spec").DocumentOK()
	if !ok {
		var err error
		if spec, err = rawdoc.Without(op.Object, "createIndexes"); err != nil {
			return fmt.Errorf("createIndexes: %w", err)
		}
	}
	return w.createIndex(op, spec, 0)
}

func startIndexBuild(w *detection, op operation) error {
	id, err := buildID(op)
	if err != nil {
		return err
	}
	w.builds[id] = &Build{Namespace: op.ns, Started: w.wall}
	return nil
}

func commitIndexBuild(w *detection, op operation) error {
	took, specs, err := w.endBuild(op)
	if err != nil {
		return fmt.Errorf("commitIndexBuild: %w", err)
	}
	for _, spec := range specs {
		if err := w.createIndex(op, spec, took); err != nil {
			return err
		}
	}
	return nil
}

func abortIndexBuild(w *detection, op operation) error {
	took, specs, err := w.endBuild(op)
	if err != nil {
		return fmt.Errorf("abortIndexBuild: %w", err)
	}
	if w.isTemporary(op.ns) {
		return nil
	}
	cause, _ := op.Object.Lookup("cause").DocumentOK()
	for _, spec := range specs {
		name := schema.IndexName(spec)
		w.emit(op, notification.Change{
			Operation:  notification.AbortIndexBuild,
			Database:   op.ns.Database,
			Collection: op.ns.Collection,
			IndexName:  name,
			Statement:  text(notification.AbortIndexBuild, op.ns.Collection, name),
			Cause:      cause,
			Build:      took,
		})
	}
	return nil
}

// endBuild returns how long the build took, zero if its start was not read, and the specs of
// its indexes.
func (w *detection) endBuild(op operation) (time.Duration, []bson.Raw, error) {
	specs, err := rawdoc.Documents(op.Object.Lookup("indexes"))
	if err != nil {
		return 0, nil, fmt.Errorf("indexes: %w", err)
	}
	id, err := buildID(op)
	if err != nil {
		return 0, nil, err
	}
	b, ok := w.known.builds[id]
	if started := w.builds[id]; started != nil {
		b, ok = *started, true
	}
	w.builds[id] = nil
	if !ok {
		return 0, specs, nil
	}
	return w.wall.Sub(b.Started), specs, nil
}

func buildID(op operation) (oplog.UUID, error) {
	_, data, ok := op.Object.Lookup("indexBuildUUID").BinaryOK()
	if !ok || len(data) != len(oplog.UUID{}) {
		return oplog.UUID{}, fmt.Errorf("indexBuildUUID: %w", errMalformed)
	}
	return oplog.UUID(data), nil
}

func (w *detection) createIndex(op operation, raw bson.Raw, took time.Duration) error {
	def, known := w.lookup(op.ns)
	spec, exact, err := userSpec(op, def, raw)
	if err != nil {
		return fmt.Errorf("index spec: %w", err)
	}
	automatic := known && w.ofTheServer(def, spec)
	if known && exact { // no server lists the others
		next := def.WithIndex(spec)
		w.put(op.ns, &next)
	}
	if !automatic && !w.isTemporary(op.ns) {
		c := createIndexChange(op.ns, def, spec)
		c.Build = took
		c.New = onEmptyCollection(op)
		if !exact {
			c.Mongosh, c.Undo = "", ""
		}
		w.emit(op, c)
	}
	return nil
}

// onEmptyCollection reports whether an index was created on a collection without documents:
// since 4.4 the server writes createIndexes only in this case, otherwise an index build.
// Entries of 4.2, which can be in the oplog after an upgrade, have a field h.
func onEmptyCollection(op operation) bool {
	name, _ := op.Command()
	_, err := op.Raw.LookupErr("h")
	return name == "createIndexes" && err != nil
}

// createIndexChange returns the change of a new index on a collection with this definition.
func createIndexChange(ns schema.Namespace, def schema.Definition, spec bson.Raw) notification.Change {
	typed := typedSpec(def, spec)
	return notification.Change{
		Operation:  notification.CreateIndex,
		Database:   ns.Database,
		Collection: ns.Collection,
		IndexName:  schema.IndexName(spec),
		Statement:  statementOr(mongosh.ShortCreateIndex(ns.Collection, typed), notification.CreateIndex, ns.Collection, schema.IndexName(spec)),
		Mongosh:    mongosh.CreateIndex(ns.Database, ns.Collection, typed),
		Undo:       mongosh.DropIndex(ns.Database, ns.Collection, schema.IndexName(spec)),
		After:      spec,
		UUID:       def.UUID,
	}
}

func dropIndexes(w *detection, op operation) error {
	name, ok := op.Object.Lookup("index").StringValueOK()
	if !ok || op.ns.Collection == "" {
		return fmt.Errorf("dropIndexes: %w", errMalformed)
	}
	def, known := w.lookup(op.ns)
	before := def.Index(name)
	if before == nil && len(op.Object2) > 0 {
		var exact bool
		var err error
		if before, exact, err = userSpec(op, def, op.Object2); err != nil || !exact {
			before = nil
		}
	}
	if known {
		next := def.WithoutIndex(name)
		w.put(op.ns, &next)
	}
	if w.isTemporary(op.ns) {
		return nil
	}
	w.emit(op, dropIndexChange(op.ns, def, name, before))
	return nil
}

// dropIndexChange returns the change of an index dropped from a collection with this definition; before
// is its spec, nil if not known.
func dropIndexChange(ns schema.Namespace, def schema.Definition, name string, before bson.Raw) notification.Change {
	text := mongosh.DropIndex(ns.Database, ns.Collection, name)
	c := notification.Change{
		Operation:  notification.DropIndex,
		Database:   ns.Database,
		Collection: ns.Collection,
		IndexName:  name,
		Statement:  statementOr(text, notification.DropIndex, ns.Collection, name),
		Mongosh:    text,
		Before:     before,
	}
	if before != nil {
		c.Undo = mongosh.UndoDropIndex(ns.Database, ns.Collection, typedSpec(def, before))
	}
	return c
}

// typedSpec adds the simple collation if the index would otherwise get the collection's.
func typedSpec(def schema.Definition, spec bson.Raw) bson.Raw {
	if _, err := def.Options.LookupErr("collation"); err == nil {
		return mongosh.WithSimpleCollation(spec)
	}
	return spec
}
