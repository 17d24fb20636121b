package detector

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
)

// renameCollection handles a rename, whose o has full namespaces. A rename with dropTarget drops
// a collection without an entry of its own. A rename from a name that the server generated is
// the last step of another operation, and is reported as that operation.
func renameCollection(w *detection, op operation) error {
	from, fromOK := splitNamespace(op.Object.Lookup("renameCollection"))
	to, toOK := splitNamespace(op.Object.Lookup("to"))
	if !fromOK || !toOK {
		return fmt.Errorf("renameCollection: %w", errMalformed)
	}
	source, known := w.lookup(from)
	target, targetKnown := w.lookup(to)
	r := rename{
		from: from, to: to, source: source, known: known, target: target, targetKnown: targetKnown,
		replaces:  hasTarget(op.Object.Lookup("dropTarget")),
		temporary: w.isTemporary(from), replacesTemporary: w.isTemporary(to),
		buckets: isBuckets(op.Object.Lookup("renameCollection")),
	}
	r.target.UUID = targetUUID(op, target)
	var err error
	if r.moved, err = w.moved(op, r); err != nil {
		return fmt.Errorf("renameCollection: %w", err)
	}
	w.put(from, nil)
	switch {
	case known:
		w.put(to, &r.moved)
	case targetKnown:
		w.put(to, nil)
	}
	w.emitRename(op, r)
	return nil
}

// rename is one rename with the known definitions of source and target.
type rename struct {
	from, to           schema.Namespace
	source, target     schema.Definition
	known, targetKnown bool
	// temporary and replacesTemporary are set if the server created the source, or the target,
	// for itself.
	temporary, replacesTemporary bool
	replaces                     bool
	// buckets is set if the source is the bucket collection of a time series.
	buckets bool
	moved   schema.Definition
}

// moved returns the definition of the source under its new name. Whether it is temporary there
// depends on its creation: stayTemp keeps the option temp of a collection that has it. Neither
// stayTemp nor a name that looks generated makes a user's collection temporary.
func (w *detection) moved(op operation, r rename) (schema.Definition, error) {
	moved := r.source
	moved.UUID = op.UUID
	stays := rawdoc.Truthy(op.Object.Lookup("stayTemp")) && r.hasTempOption(w.generated)
	moved.Temporary = r.temporary && (stays || w.generated.Match(r.to.Collection))
	if stays || !moved.Known() {
		return moved, nil
	}
	var err error
	moved.Options, err = rawdoc.Without(moved.Options, "temp")
	return moved, err
}

// hasTempOption reports whether the source was created with temp: true. Catalogs of ddltail
// 0.1.0 do not have the option: a temporary collection in them has it unless its name is
// generated.
func (r rename) hasTempOption(generated schema.GeneratedNames) bool {
	return rawdoc.Truthy(r.source.Options.Lookup("temp")) || r.known && r.temporary && !generated.Match(r.from.Collection)
}

func (w *detection) emitRename(op operation, r rename) {
	switch {
	case r.moved.Temporary:
		w.emitReplaced(op, r)
	case r.temporary && strings.Contains(r.from.Collection, ".convertToCapped."):
		w.emit(op, convertToCappedChange(r))
	case r.temporary:
		w.emitFromTemporary(op, r)
	default:
		w.emitReplaced(op, r)
		change := renameChange(r)
		if w.watch.IsOwn(r.from.String()) {
			change.Undo = "" // ddltail recreates its own collection, so that the name is in use
		}
		w.emit(op, change)
	}
}

// emitReplaced reports a user's collection that the rename replaced. An applyOps without
// dropTarget renames the target to a tmpXXXXX.rename that differs on each member and is in no
// entry: it is reported as dropped.
func (w *detection) emitReplaced(op operation, r rename) {
	if (r.replaces || r.targetKnown) && !r.replacesTemporary {
		drop := dropCollectionChange(r.to, r.target, r.targetKnown)
		drop.Empty = droppedEmpty(op)
		w.emit(op, drop)
	}
}

func renameChange(r rename) notification.Change {
	c := notification.Change{
		Operation:  notification.RenameCollection,
		Database:   r.from.Database,
		Collection: r.from.Collection,
		To:         r.to.String(),
	}
	if !r.buckets { // users cannot rename a time series with a bucket collection
		c.Mongosh = mongosh.RenameCollection(r.from.Database, r.from.Collection, r.to.Collection)
		c.Undo = mongosh.RenameCollection(r.from.Database, r.to.Collection, r.from.Collection)
	}
	c.Statement = statementOr(c.Mongosh, notification.RenameCollection, r.from.Collection, r.to.Collection)
	return c
}

func convertToCappedChange(r rename) notification.Change {
	text := mongosh.ConvertToCapped(r.to.Database, r.to.Collection, r.moved.Options)
	c := notification.Change{
		Operation:  notification.ConvertToCapped,
		Database:   r.to.Database,
		Collection: r.to.Collection,
		Statement:  statementOr(text, notification.ConvertToCapped, r.to.Collection),
		Mongosh:    text,
	}
	if r.known {
		c.After = r.moved.Options
	}
	if r.targetKnown {
		c.Before = r.target.Options
	}
	return c
}

// emitFromTemporary reports a rename from a generated name (of $out, mapReduce, or a rename
// across databases) by its effect: a new collection with its indexes, or a replaced one. If it
// replaces one of ddltail's own collections, the documents of that one are lost: it is reported
// as dropped.
func (w *detection) emitFromTemporary(op operation, r rename) {
	if r.replaces && w.watch.IsOwn(r.to.String()) {
		w.emitReplaced(op, r)
		return
	}
	if r.replaces && !r.replacesTemporary {
		w.emit(op, replaceChange(r))
		return
	}
	w.emit(op, createCollectionChange(r.to, r.moved))
	for i, spec := range r.moved.Indexes {
		if i > 0 || !schema.IsServerIndex(r.moved, spec) {
			c := createIndexChange(r.to, r.moved, spec)
			c.New = true
			w.emit(op, c)
		}
	}
}

func replaceChange(r rename) notification.Change {
	c := notification.Change{
		Operation:  notification.ReplaceCollection,
		Database:   r.to.Database,
		Collection: r.to.Collection,
		Statement:  text(notification.ReplaceCollection, r.to.Collection),
	}
	if r.known {
		c.After = whole(r.moved)
		text := mongosh.ReplaceCollection(r.to.Database, r.to.Collection,
			mongosh.Definition{Options: r.moved.Options, Indexes: r.moved.Indexes})
		c.Mongosh, c.Statement = text, statementOr(text, notification.ReplaceCollection, r.to.Collection)
	}
	if r.targetKnown {
		c.Before = whole(r.target)
	}
	return c
}

// whole returns a definition as one document, for changes that concern all of it.
func whole(d schema.Definition) bson.Raw {
	indexes := d.Indexes
	if indexes == nil {
		indexes = []bson.Raw{}
	}
	options := d.Options
	if options == nil {
		options = bson.Raw{5, 0, 0, 0, 0}
	}
	raw, err := bson.Marshal(bson.D{{Key: "options", Value: options}, {Key: "indexes", Value: indexes}})
	if err != nil {
		return nil
	}
	return raw
}

func splitNamespace(v bson.RawValue) (schema.Namespace, bool) {
	full, _ := v.StringValueOK()
	db, coll, ok := strings.Cut(full, ".")
	coll = strings.TrimPrefix(coll, schema.BucketsPrefix)
	return schema.Namespace{Database: db, Collection: coll}, ok && db != "" && coll != ""
}

// isBuckets reports whether a full namespace is the bucket collection of a time series.
func isBuckets(v bson.RawValue) bool {
	full, _ := v.StringValueOK()
	_, coll, _ := strings.Cut(full, ".")
	return strings.HasPrefix(coll, schema.BucketsPrefix)
}

// hasTarget reads dropTarget: the UUID of the dropped collection, or false, or absent.
func hasTarget(v bson.RawValue) bool {
	if _, _, ok := v.BinaryOK(); ok {
		return true
	}
	return rawdoc.Truthy(v)
}

func targetUUID(op operation, target schema.Definition) oplog.UUID {
	_, data, ok := op.Object.Lookup("dropTarget").BinaryOK()
	if ok && len(data) == len(oplog.UUID{}) {
		return oplog.UUID(data)
	}
	return target.UUID
}
