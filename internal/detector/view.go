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

// viewDocument handles a write to system.views, where a view is a document with its full name as
// the _id. An update is a full replacement (the server's change_stream_event_transform relies on
// that).
func viewDocument(w *detection, op operation) error {
	full, ok := op.Object.Lookup("_id").StringValueOK()
	if op.Op == oplog.OpUpdate && !ok {
		full, ok = op.Object2.Lookup("_id").StringValueOK()
	}
	name, inDatabase := strings.CutPrefix(full, op.ns.Database+".")
	if !ok || !inDatabase || name == "" {
		return fmt.Errorf("view: %w", errMalformed)
	}
	op.ns.Collection = name
	before, known := w.lookup(op.ns)
	if op.Op == oplog.OpDelete {
		// A time series' view is dropped before its buckets; the drop of the buckets is reported.
		if before.Kind == schema.KindCollection {
			w.emit(anonymous(op), dropViewChange(op.ns, nil))
		} else if !known || before.Kind == schema.KindView {
			w.dropView(op, before.Options)
		}
		return nil
	}
	if _, ok := op.Object.Lookup("viewOn").StringValueOK(); !ok {
		return fmt.Errorf("view: viewOn: %w", errMalformed)
	}
	if isSeriesView(name, op.Object, before.Kind) {
		return nil
	}
	options, err := rawdoc.Without(op.Object, "_id")
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	if before.Kind == schema.KindCollection {
		before.Options = nil // servers use the collection; the view has no effect, and no version
	} else {
		w.put(op.ns, &schema.Definition{Kind: schema.KindView, Options: options})
	}
	if op.Op == oplog.OpInsert {
		w.emit(anonymous(op), createViewChange(op.ns, options))
		return nil
	}
	w.emit(anonymous(op), modifyViewChange(op.ns, before.Options, options))
	return nil
}

// isSeriesView reports whether a document of system.views is the view of a time series: it has
// the same name as the bucket collection, and it unpacks the buckets or the time series is known.
// Other views on buckets were created by users.
func isSeriesView(name string, doc bson.Raw, known schema.Kind) bool {
	viewOn, _ := doc.Lookup("viewOn").StringValueOK()
	unpacks := doc.Lookup("pipeline", "0", "$_internalUnpackBucket").Type != 0
	return viewOn == schema.BucketsPrefix+name && (unpacks || known == schema.KindTimeSeries)
}

// anonymous removes the UUID, which is that of system.views.
func anonymous(op operation) operation {
	op.UUID = oplog.UUID{}
	return op
}

func createViewChange(ns schema.Namespace, options bson.Raw) notification.Change {
	text := mongosh.CreateView(ns.Database, ns.Collection, options)
	return notification.Change{
		Operation:  notification.CreateView,
		Database:   ns.Database,
		Collection: ns.Collection,
		Statement:  statementOr(text, notification.CreateView, ns.Collection),
		Mongosh:    text,
		Undo:       mongosh.UndoCreateView(ns.Database, ns.Collection),
		After:      options,
	}
}

func modifyViewChange(ns schema.Namespace, before, after bson.Raw) notification.Change {
	text := mongosh.ModifyView(ns.Database, ns.Collection, after)
	c := notification.Change{
		Operation:  notification.ModifyView,
		Database:   ns.Database,
		Collection: ns.Collection,
		Statement:  statementOr(text, notification.ModifyView, ns.Collection),
		Mongosh:    text,
		Before:     before,
		After:      after,
	}
	if before != nil {
		c.Undo = mongosh.ModifyView(ns.Database, ns.Collection, before)
	}
	return c
}

func dropViewChange(ns schema.Namespace, before bson.Raw) notification.Change {
	text := mongosh.DropView(ns.Database, ns.Collection)
	c := notification.Change{
		Operation:  notification.DropView,
		Database:   ns.Database,
		Collection: ns.Collection,
		Statement:  statementOr(text, notification.DropView, ns.Collection),
		Mongosh:    text,
		Before:     before,
	}
	if before != nil {
		c.Undo = mongosh.CreateView(ns.Database, ns.Collection, before)
	}
	return c
}

func (w *detection) dropView(op operation, before bson.Raw) {
	w.put(op.ns, nil)
	w.emit(anonymous(op), dropViewChange(op.ns, before))
}

// dropViews handles a drop of system.views, which drops every view of the database without
// writing entries for them.
func (w *detection) dropViews(op operation) {
	for _, ns := range w.known.In(op.ns.Database, schema.KindView) {
		if def, ok := w.lookup(ns); ok {
			op.ns = ns
			w.dropView(op, def.Options)
		}
	}
}
