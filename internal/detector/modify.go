package detector

import (
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/notification"
)

// internalParameters are the parameters of collMod that only servers and tools write.
func internalParameters() []string {
	return []string{
		"recordIdsReplicated", "timeseriesBucketsMayHaveMixedSchemaData", "collectionUUID",
		"_removeLegacyTimeseriesBucketingParametersHaveChanged", "dryRun", "writeConcern", "autoIndexId",
	}
}

// modifyCollection handles a collMod. Options of the collection and options of an
// index in one entry are two changes. One that holds nothing a user types, as
// setFeatureCompatibilityVersion writes them, is none.
func modifyCollection(w *detection, op operation) error {
	if op.ns.Collection == "" {
		return fmt.Errorf("collMod: %w", errMalformed)
	}
	params, err := without(op.Object, append(internalParameters(), "collMod")...)
	if err != nil {
		return fmt.Errorf("collMod: %w", err)
	}
	index, hasIndex := params.Lookup("index").DocumentOK()
	options, err := without(params, "index")
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
		after, err := modifiedOptions(before, params)
		if err != nil {
			return err
		}
		c.Before, c.After = before, after
		if known {
			def.Options = after
			w.put(op.ns, &def)
		}
	}
	if !def.Temporary {
		w.emit(op, c)
	}
	return nil
}

// modifiedCollection is the change of one collMod, its statement made of the parameters.
func modifiedCollection(ns Namespace, m mongosh.Modification) notification.Change {
	text := mongosh.ModifyCollection(ns.Database, ns.Collection, m.Changes)
	return notification.Change{
		Operation:  notification.ModifyCollection,
		Database:   ns.Database,
		Collection: ns.Collection,
		Statement:  statementOr(text, notification.ModifyCollection, ns.Collection),
		Mongosh:    text,
		Undo:       mongosh.UndoModifyCollection(ns.Database, ns.Collection, m),
	}
}

// optionsBefore takes the old options from the entry, else from the catalog; nil
// where neither has them.
func optionsBefore(op operation, def Definition) (bson.Raw, error) {
	old, ok := op.Object2.Lookup("collectionOptions_old").DocumentOK()
	if !ok {
		return def.Options, nil
	}
	if op.bucketed || def.Kind == KindTimeSeries {
		return timeSeriesOptions(old)
	}
	return without(old, "uuid")
}

// modifiedOptions does to options what the server does.
func modifiedOptions(options, params bson.Raw) (bson.Raw, error) {
	elems, err := params.Elements()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	for _, el := range elems {
		if options, err = modifiedOption(options, el.Key(), el.Value()); err != nil {
			return nil, err
		}
	}
	return options, nil
}

func modifiedOption(options bson.Raw, key string, value bson.RawValue) (bson.Raw, error) {
	switch key {
	case "validator", "validationLevel", "validationAction":
		return withValidation(options, key, value)
	case "changeStreamPreAndPostImages":
		enabled, _ := value.DocumentOK()
		return withFlag(options, key, value, truthy(enabled.Lookup("enabled")))
	case "recordPreImages":
		return withFlag(options, key, value, truthy(value))
	case "cappedSize":
		return with(options, "size", value)
	case "cappedMax":
		n, _ := value.AsInt64OK()
		return withFlag(options, "max", value, n > 0)
	case "expireAfterSeconds":
		_, off := value.StringValueOK()
		return withFlag(options, key, value, !off)
	case "timeseries":
		return withTimeSeries(options, value)
	default:
		return with(options, key, value)
	}
}

// withFlag keeps an option only where it is on: that is how the catalog has it.
func withFlag(options bson.Raw, key string, value bson.RawValue, on bool) (bson.Raw, error) {
	if !on {
		return without(options, key)
	}
	return with(options, key, value)
}

// withValidation changes one of the three and writes down the other two with their
// defaults, as the server does. An empty validator is none.
func withValidation(options bson.Raw, key string, value bson.RawValue) (bson.Raw, error) {
	defaults := []struct{ key, value string }{{"validationLevel", "strict"}, {"validationAction", "error"}}
	doc, isDocument := value.DocumentOK()
	empty := isDocument && len(doc) <= len(bson.Raw{5, 0, 0, 0, 0})
	options, err := withFlag(options, key, value, !empty)
	for _, d := range defaults {
		if err != nil {
			return nil, err
		}
		if _, lookupErr := options.LookupErr(d.key); lookupErr != nil {
			options, err = with(options, d.key, d.value)
		}
	}
	return options, err
}

// withTimeSeries changes bucketing parameters. A granularity brings its span.
func withTimeSeries(options bson.Raw, value bson.RawValue) (bson.Raw, error) {
	params, ok := value.DocumentOK()
	if !ok {
		return nil, errMalformed
	}
	series, ok := options.Lookup("timeseries").DocumentOK()
	if !ok {
		return nil, errMalformed
	}
	elems, err := params.Elements()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	for _, el := range elems {
		if series, err = with(series, el.Key(), el.Value()); err != nil {
			return nil, err
		}
	}
	granularity, _ := params.Lookup("granularity").StringValueOK()
	if span, ok := bucketSpans()[granularity]; ok {
		if series, err = with(series, "bucketMaxSpanSeconds", span); err != nil {
			return nil, err
		}
	}
	return with(options, "timeseries", series)
}

func (w *detection) modifyIndex(op operation, params bson.Raw) error {
	def, known := w.lookup(op.ns)
	before := indexBefore(op, def, params)
	changes, err := marshal(bson.D{{Key: "index", Value: params}})
	if err != nil {
		return err
	}
	old := before
	if old == nil {
		old = oldIndexOptions(op)
	}
	c := modifiedCollection(op.ns, mongosh.Modification{Changes: changes, Index: old})
	c.IndexName = specName(params)
	if before != nil {
		after, err := modifiedSpec(before, params)
		if err != nil {
			return err
		}
		c.IndexName, c.Before, c.After = specName(before), before, after
		if known {
			next := def.withIndex(after)
			w.put(op.ns, &next)
		}
	}
	if !def.Temporary {
		w.emit(op, c)
	}
	return nil
}

// indexBefore finds the index by its name, or by its key as servers before 6.0 may
// have it.
func indexBefore(op operation, def Definition, params bson.Raw) bson.Raw {
	if name := specName(params); name != "" {
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

// oldIndexOptions is what the entry itself says of the index before: one document
// from 6.0 on, flat fields up to 5.0.
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

// modifiedSpec does to an index spec what the server does: a flag that is off is
// not there, and an index made unique no longer prepares for it.
func modifiedSpec(spec, params bson.Raw) (bson.Raw, error) {
	elems, err := params.Elements()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	for _, el := range elems {
		switch key := el.Key(); key {
		case "name", "keyPattern":
			continue
		case "hidden", "prepareUnique":
			spec, err = withFlag(spec, key, el.Value(), truthy(el.Value()))
		case "forceNonUnique":
			spec, err = without(spec, "unique")
		case "unique":
			if spec, err = with(spec, key, el.Value()); err == nil {
				spec, err = without(spec, "prepareUnique")
			}
		default:
			spec, err = with(spec, key, el.Value())
		}
		if err != nil {
			return nil, err
		}
	}
	return spec, nil
}
