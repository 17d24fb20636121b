package detector

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
)

// userSpec returns an index spec with the user's field names. exact is false for a time series
// whose fields are not known.
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

// typedKey converts the key of an index on buckets to the user's key: a field is represented by
// the bounds of its values in a bucket, with the minimum first for ascending and the maximum
// first for descending order.
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

// ofTheServer recognises the index that servers from 6.3 on create for a time series with a
// metaField, in the next entry. It was not created by the user.
func (w *detection) ofTheServer(def schema.Definition, spec bson.Raw) bool {
	next := bson.Timestamp{T: def.Since.TS.T, I: def.Since.TS.I + 1}
	return len(def.Indexes) == 0 && w.optime.TS == next && schema.IsServerIndex(def, spec)
}

// changeStorageForm handles the conversion of a time series by setFeatureCompatibilityVersion.
// Its name for users, its UUID and its indexes do not change; the option fixedBucketing exists
// only in the form of 9.0.
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
