package detector

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
)

func create(w *detection, op operation) error {
	if op.ns.Collection == "" {
		return fmt.Errorf("create: %w", errMalformed)
	}
	def, err := createdDefinition(op)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if op.bucketed && def.Kind != schema.KindTimeSeries {
		return nil // an ordinary collection with the name of buckets, which is not watched
	}
	def.Temporary = rawdoc.Truthy(op.Object.Lookup("temp")) || w.generated.Match(op.ns.Collection)
	w.put(op.ns, &def)
	if !def.Temporary {
		w.emit(op, createCollectionChange(op.ns, def))
	}
	return nil
}

func createdDefinition(op operation) (schema.Definition, error) {
	options, err := rawdoc.Without(op.Object, "create", "idIndex", "uuid")
	if err != nil {
		return schema.Definition{}, err
	}
	def := schema.Definition{Kind: schema.KindCollection, UUID: op.UUID, Options: options}
	if _, err := options.LookupErr("timeseries"); err == nil {
		def.Kind = schema.KindTimeSeries
		def.Options, err = schema.TimeSeriesOptions(options)
		return def, err
	}
	if _, err := options.LookupErr("viewOn"); err == nil {
		def.Kind = schema.KindView
	}
	return def, nil
}

// createCollectionChange returns the change of a new collection or view.
func createCollectionChange(ns schema.Namespace, def schema.Definition) notification.Change {
	if def.Kind == schema.KindView {
		return createViewChange(ns, def.Options)
	}
	return notification.Change{
		Operation:  notification.CreateCollection,
		Database:   ns.Database,
		Collection: ns.Collection,
		Statement:  "CREATE COLLECTION " + quoteName(ns.Collection),
		Mongosh:    mongosh.CreateCollection(ns.Database, ns.Collection, def.Options),
		Undo:       mongosh.UndoCreateCollection(ns.Database, ns.Collection, def.Options),
		After:      def.Options,
		UUID:       def.UUID,
	}
}

func dropCollection(w *detection, op operation) error {
	if op.ns.Collection == "" {
		return fmt.Errorf("drop: %w", errMalformed)
	}
	if op.ns.Collection == schema.ViewsCollection {
		w.dropViews(op)
		return nil
	}
	def, known := w.lookup(op.ns)
	temporary := w.isTemporary(op.ns)
	w.put(op.ns, nil)
	if !temporary {
		c := dropCollectionChange(op.ns, def, known)
		c.Empty = droppedEmpty(op)
		w.emit(op, c)
	}
	return nil
}

// droppedEmpty reports whether the collection that a drop or a rename removed had no documents,
// according to the count in the entry.
func droppedEmpty(op operation) bool {
	n, ok := op.Object2.Lookup("numRecords").AsInt64OK()
	return ok && n == 0
}

// dropCollectionChange returns the change of a dropped collection.
func dropCollectionChange(ns schema.Namespace, def schema.Definition, known bool) notification.Change {
	var before bson.Raw
	if known {
		before = def.Options
	}
	return notification.Change{
		Operation:  notification.DropCollection,
		Database:   ns.Database,
		Collection: ns.Collection,
		Statement:  "DROP COLLECTION " + quoteName(ns.Collection),
		Mongosh:    mongosh.DropCollection(ns.Database, ns.Collection, before),
		Before:     before,
		UUID:       def.UUID,
	}
}

// dropDatabase handles a dropDatabase, which comes after the drops of its collections.
func dropDatabase(w *detection, op operation) error {
	db := op.ns.Database
	text := mongosh.DropDatabase(db)
	collections, empty := w.known.droppedWithDatabase(db, w.wall)
	w.emit(op, notification.Change{
		Operation:   notification.DropDatabase,
		Database:    db,
		Collections: collections,
		Empty:       empty,
		Statement:   text,
		Mongosh:     text,
	})
	return nil
}
