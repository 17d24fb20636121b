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

// renameCollection handles a rename, whose o holds full namespaces. One with
// dropTarget destroys a collection and writes no drop for it. One from a name that
// the server generated is the last step of another operation, and is reported by what the
// user sees of that.
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
		replaces: hasTarget(op.Object.Lookup("dropTarget")),
	}
	r.target.UUID = targetUUID(op, target)
	moved := source
	moved.UUID = op.UUID
	moved.Temporary = rawdoc.Truthy(op.Object.Lookup("stayTemp")) || w.generated.Match(to.Collection)
	w.put(from, nil)
	if known {
		w.put(to, &moved)
	} else {
		w.put(to, nil)
	}
	r.moved = moved
	if !moved.Temporary {
		w.emitRename(op, r)
	}
	return nil
}

// rename is one rename with what was known of both its ends.
type rename struct {
	from, to           schema.Namespace
	source, target     schema.Definition
	known, targetKnown bool
	replaces           bool
	moved              schema.Definition
}

func (w *detection) emitRename(op operation, r rename) {
	switch {
	case strings.Contains(r.from.Collection, ".convertToCapped.") && w.generated.Match(r.from.Collection):
		w.emit(op, convertToCappedChange(r))
	case r.source.Temporary || w.generated.Match(r.from.Collection):
		w.emitFromTemporary(op, r)
	default:
		if r.replaces {
			drop := dropCollectionChange(r.to, r.target, r.targetKnown)
			drop.Empty = droppedEmpty(op)
			w.emit(op, drop)
		}
		w.emit(op, renameChange(r))
	}
}

func renameChange(r rename) notification.Change {
	text := mongosh.RenameCollection(r.from.Database, r.from.Collection, r.to.Collection)
	return notification.Change{
		Operation:  notification.RenameCollection,
		Database:   r.from.Database,
		Collection: r.from.Collection,
		To:         r.to.String(),
		Statement:  statementOr(text, notification.RenameCollection, r.from.Collection, r.to.Collection),
		Mongosh:    text,
		Undo:       mongosh.RenameCollection(r.from.Database, r.to.Collection, r.from.Collection),
	}
}

func convertToCappedChange(r rename) notification.Change {
	text := mongosh.ConvertToCapped(r.to.Database, r.to.Collection, r.source.Options)
	c := notification.Change{
		Operation:  notification.ConvertToCapped,
		Database:   r.to.Database,
		Collection: r.to.Collection,
		Statement:  statementOr(text, notification.ConvertToCapped, r.to.Collection),
		Mongosh:    text,
	}
	if r.known {
		c.After = r.source.Options
	}
	if r.targetKnown {
		c.Before = r.target.Options
	}
	return c
}

// emitFromTemporary reports what came from a generated name, from $out, mapReduce or
// another database, by what the user sees: a new collection with its indexes, or
// another one in the place of the old.
func (w *detection) emitFromTemporary(op operation, r rename) {
	if r.replaces {
		w.emit(op, replaceChange(r))
		return
	}
	w.emit(op, createCollectionChange(r.to, r.moved))
	for i, spec := range r.moved.Indexes {
		if i > 0 || !isMetaIndex(r.moved, spec) {
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

// whole is a definition as one document, for the changes that are about all of it.
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

// hasTarget reads dropTarget: the UUID of what is dropped, or false, or nothing.
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
