package detector

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
)

func create(w *work, op operation) error {
	if op.ns.Collection == "" {
		return fmt.Errorf("create: %w", errShape)
	}
	def, err := createdDefinition(op)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	def.Temporary = truthy(op.Object.Lookup("temp")) || w.names.temporary(op.ns.Collection)
	w.put(op.ns, &def)
	if !def.Temporary {
		w.tell(op, created(op.ns, def))
	}
	return nil
}

func createdDefinition(op operation) (Definition, error) {
	options, err := without(op.Object, "create", "idIndex", "temp", "uuid")
	if err != nil {
		return Definition{}, err
	}
	def := Definition{Kind: KindCollection, UUID: op.UUID, Options: options}
	if _, err := options.LookupErr("timeseries"); err == nil {
		def.Kind = KindTimeSeries
		def.Options, err = timeSeriesOptions(options)
		return def, err
	}
	if _, err := options.LookupErr("viewOn"); err == nil {
		def.Kind = KindView
	}
	return def, nil
}

// created tells a collection or a view that has come to be.
func created(ns Namespace, def Definition) Change {
	if def.Kind == KindView {
		return createdView(ns, def.Options)
	}
	return Change{
		Operation:  CreateCollection,
		Database:   ns.Database,
		Collection: ns.Collection,
		Statement:  "CREATE COLLECTION " + word(ns.Collection),
		Mongosh:    mongosh.CreateCollection(ns.Database, ns.Collection, def.Options),
		Undo:       mongosh.UndoCreateCollection(ns.Database, ns.Collection, def.Options),
		After:      def.Options,
		UUID:       def.UUID,
	}
}

func dropCollection(w *work, op operation) error {
	if op.ns.Collection == "" {
		return fmt.Errorf("drop: %w", errShape)
	}
	if op.ns.Collection == viewsCollection {
		w.dropViews(op)
		return nil
	}
	def, known := w.lookup(op.ns)
	w.put(op.ns, nil)
	if !def.Temporary && !w.names.temporary(op.ns.Collection) {
		w.tell(op, dropped(op.ns, def, known))
	}
	return nil
}

// dropped tells a collection that is gone.
func dropped(ns Namespace, def Definition, known bool) Change {
	var before bson.Raw
	if known {
		before = def.Options
	}
	return Change{
		Operation:  DropCollection,
		Database:   ns.Database,
		Collection: ns.Collection,
		Statement:  "DROP COLLECTION " + word(ns.Collection),
		Mongosh:    mongosh.DropCollection(ns.Database, ns.Collection, before),
		Before:     before,
		UUID:       def.UUID,
	}
}

// dropDatabase comes after the drops of what was in it.
func dropDatabase(w *work, op operation) error {
	db := op.ns.Database
	text := mongosh.DropDatabase(db)
	w.tell(op, Change{
		Operation:   DropDatabase,
		Database:    db,
		Collections: w.known.takenAlong(db, w.wall),
		Statement:   text,
		Mongosh:     text,
	})
	return nil
}
