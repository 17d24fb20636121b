package detector

import (
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// modifyCollection handles a collMod. Options of the collection and options of an index in one
// entry are two changes. A collMod with only internal parameters, as written by
// setFeatureCompatibilityVersion, is not a change.
func modifyCollection(w *detection, op operation) error {
	if op.ns.Collection == "" {
		return fmt.Errorf("collMod: %w", errMalformed)
	}
	params, err := rawdoc.Without(op.Object, append(option.ServerParameters(), "collMod")...)
	if err != nil {
		return fmt.Errorf("collMod: %w", err)
	}
	index, hasIndex := params.Lookup("index").DocumentOK()
	options, err := rawdoc.Without(params, "index")
	if err != nil {
		return fmt.Errorf("collMod: %w", err)
	}
	if elems, err := options.Elements(); err == nil && len(elems) > 0 {
		if err := w.modifyOptions(op, options); err != nil {
			return fmt.Errorf("collMod: %w", err)
		}
	}
	if !hasIndex {
		return nil
	}
	if err := w.modifyIndex(op, index); err != nil {
		return fmt.Errorf("collMod: index: %w", err)
	}
	return nil
}

func (w *detection) modifyOptions(op operation, params bson.Raw) error {
	def, known := w.lookup(op.ns)
	before, err := optionsBefore(op, def)
	if err != nil {
		return err
	}
	c := modifiedCollection(op.ns, mongosh.Modification{Changes: params, Options: before})
	if before != nil {
		after, err := schema.ModifyOptions(before, params)
		if err != nil {
			return err
		}
		c.Before, c.After = before, after
		if known {
			def.Options = after
			w.put(op.ns, &def)
		}
	}
	if !w.isTemporary(op.ns) {
		w.emit(op, c)
	}
	return nil
}

// modifiedCollection returns the change of one collMod, with a statement built from its
// parameters.
func modifiedCollection(ns schema.Namespace, m mongosh.Modification) notification.Change {
	text := mongosh.ModifyCollection(ns.Database, ns.Collection, m.Changes)
	previous := m.Options
	if _, onIndex := m.Changes.Lookup("index").DocumentOK(); onIndex {
		previous = m.Index
	}
	return notification.Change{
		Operation:  notification.ModifyCollection,
		Database:   ns.Database,
		Collection: ns.Collection,
		Statement:  statementOr(text, notification.ModifyCollection, ns.Collection),
		Mongosh:    text,
		Undo:       mongosh.UndoModifyCollection(ns.Database, ns.Collection, m),
		Parameters: m.Changes,
		Previous:   previous,
	}
}

// optionsBefore returns the old options from the entry, else from the catalog; nil if neither
// has them.
func optionsBefore(op operation, def schema.Definition) (bson.Raw, error) {
	old, ok := op.Object2.Lookup("collectionOptions_old").DocumentOK()
	if !ok {
		return def.Options, nil
	}
	if op.bucketed || def.Kind == schema.KindTimeSeries {
		return schema.TimeSeriesOptions(old)
	}
	return rawdoc.Without(old, "uuid")
}

func (w *detection) modifyIndex(op operation, params bson.Raw) error {
	def, known := w.lookup(op.ns)
	before := indexBefore(op, def, params)
	changes, err := rawdoc.Marshal(bson.D{{Key: "index", Value: params}})
	if err != nil {
		return err
	}
	old := before
	if old == nil {
		old = oldIndexOptions(op)
	}
	c := modifiedCollection(op.ns, mongosh.Modification{Changes: changes, Index: old})
	c.IndexName = schema.IndexName(params)
	if before != nil {
		after, err := schema.ModifyIndex(before, params)
		if err != nil {
			return err
		}
		c.IndexName, c.Before, c.After = schema.IndexName(before), before, after
		if known {
			next := def.WithIndex(after)
			w.put(op.ns, &next)
		}
		if schema.NormalizesNaNExpiry(before, after) {
			return nil
		}
	}
	if !w.isTemporary(op.ns) {
		w.emit(op, c)
	}
	return nil
}

// indexBefore finds the index by its name, or by its key, which entries before 6.0 can have
// instead.
func indexBefore(op operation, def schema.Definition, params bson.Raw) bson.Raw {
	if name := schema.IndexName(params); name != "" {
		return def.Index(name)
	}
	key, ok := params.Lookup("keyPattern").DocumentOK()
	i := slices.IndexFunc(def.Indexes, func(spec bson.Raw) bool {
		have, _ := spec.Lookup("key").DocumentOK()
		return ok && string(have) == string(key)
	})
	if i < 0 {
		return nil
	}
	return def.Indexes[i]
}

// oldIndexOptions returns the old options of the index from the entry: one document from 6.0 on,
// flat fields up to 5.0.
func oldIndexOptions(op operation) bson.Raw {
	if old, ok := op.Object2.Lookup("indexOptions_old").DocumentOK(); ok {
		return old
	}
	old := bson.D{}
	for _, key := range []string{"expireAfterSeconds", "hidden"} {
		if v, err := op.Object2.LookupErr(key + "_old"); err == nil {
			old = append(old, bson.E{Key: key, Value: v})
		}
	}
	if len(old) == 0 {
		return nil
	}
	raw, err := bson.Marshal(old)
	if err != nil {
		return nil
	}
	return raw
}
