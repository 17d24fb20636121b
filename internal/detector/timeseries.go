package detector

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
)

// userSpec returns an index spec by the user's field names. It reports whether that is
// exact: on a time series whose fields are not known it cannot be.
func userSpec(op operation, def schema.Definition, spec bson.Raw) (bson.Raw, bool, error) {
	key, ok := spec.Lookup("key").DocumentOK()
	if !ok || schema.IndexName(spec) == "" || op.ns.Collection == "" {
		return nil, false, errMalformed
	}
	if !op.bucketed && def.Kind != schema.KindTimeSeries {
		return spec, true, nil
	}
	if original, ok := spec.Lookup("originalSpec").DocumentOK(); ok {
		return original, true, nil
	}
	meta, _ := def.Options.Lookup("timeseries", "metaField").StringValueOK()
	typed, exact, err := typedKey(key, meta)
	if err != nil {
		return nil, false, err
	}
	spec, err = rawdoc.With(spec, "key", typed)
	return spec, exact, err
}

// typedKey turns the key of an index on buckets into the one that was typed: the
// bounds of a field's values in a bucket represent the field, ascending with the
// minimum first, descending with the maximum first.
func typedKey(key bson.Raw, meta string) (bson.D, bool, error) {
	elems, err := key.Elements()
	if err != nil {
		return nil, false, err
	}
	typed, exact := bson.D{}, true
	for _, el := range elems {
		name, ok := typedField(el.Key(), meta)
		exact = exact && ok
		if len(typed) > 0 && typed[len(typed)-1].Key == name {
			continue
		}
		value := any(el.Value())
		if text, ok := el.Value().StringValueOK(); ok {
			value = strings.TrimSuffix(text, "_bucket")
		}
		typed = append(typed, bson.E{Key: name, Value: value})
	}
	return typed, exact, nil
}

func typedField(stored, meta string) (string, bool) {
	for _, bound := range []string{"control.min.", "control.max.", "data."} {
		if field, ok := strings.CutPrefix(stored, bound); ok {
			return field, true
		}
	}
	if stored == "meta" && meta != "" {
		return meta, true
	}
	if rest, ok := strings.CutPrefix(stored, "meta."); ok && meta != "" {
		return meta + "." + rest, true
	}
	return stored, false
}

// ofTheServer recognises the index that servers from 6.3 on make with a time series
// that has a metaField: the very next entry. The user did not type it.
func (w *detection) ofTheServer(def schema.Definition, spec bson.Raw) bool {
	next := bson.Timestamp{T: def.Since.TS.T, I: def.Since.TS.I + 1}
	return len(def.Indexes) == 0 && w.optime.TS == next && schema.IsServerIndex(def, spec)
}

// changeStorageForm handles what setFeatureCompatibilityVersion does to a time series.
// Its name for users, its UUID and its indexes stay; only 9.0's form knows an option
// fixedBucketing.
func changeStorageForm(w *detection, op operation) error {
	if op.ns.Collection == "" {
		return fmt.Errorf("upgradeDowngradeViewlessTimeseries: %w", errMalformed)
	}
	def, known := w.lookup(op.ns)
	series, ok := def.Options.Lookup("timeseries").DocumentOK()
	if !known || !ok || rawdoc.Truthy(op.Object.Lookup("isUpgrade")) {
		return nil
	}
	series, err := rawdoc.Without(series, "fixedBucketing")
	if err != nil {
		return fmt.Errorf("upgradeDowngradeViewlessTimeseries: %w", err)
	}
	if def.Options, err = rawdoc.With(def.Options, "timeseries", series); err != nil {
		return fmt.Errorf("upgradeDowngradeViewlessTimeseries: %w", err)
	}
	w.put(op.ns, &def)
	return nil
}
