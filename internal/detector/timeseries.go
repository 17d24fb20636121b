package detector

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
)

// userSpec returns an index spec with the user's field names. exact is false for a time series
// whose fields are not known, and for an index created on the buckets that has no such form.
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
	typed, exact, err := typedKey(key, seriesFieldsOf(def))
	if err != nil || !exact {
		return spec, false, err
	}
	spec, err = rawdoc.With(spec, "key", typed)
	return spec, true, err
}

// seriesFields are the fields of a time series that its buckets store under other names.
type seriesFields struct{ time, meta string }

func seriesFieldsOf(def schema.Definition) seriesFields {
	timeField, _ := def.Options.Lookup("timeseries", "timeField").StringValueOK()
	meta, _ := def.Options.Lookup("timeseries", "metaField").StringValueOK()
	return seriesFields{time: timeField, meta: meta}
}

// The prefixes of a field's bounds in a bucket, and of its values.
const (
	minimum = "control.min."
	maximum = "control.max."
	values  = "data."
)

// typedKey converts the key of an index on buckets to the user's key, as servers from 6.0 do
// for listIndexes: a field is represented by the bounds of its values in a bucket, with the
// minimum first for ascending and the maximum first for descending order. It reports whether
// there is such a key.
func typedKey(key bson.Raw, series seriesFields) (bson.D, bool, error) {
	elems, err := key.Elements()
	if err != nil {
		return nil, false, err
	}
	typed := bson.D{}
	for len(elems) > 0 {
		field, read := typedField(elems, series)
		if read == 0 {
			return nil, false, nil
		}
		if field.Key != "" {
			typed = append(typed, field)
		}
		elems = elems[read:]
	}
	return typed, len(typed) > 0, nil
}

// typedField returns the field at the beginning of a key on buckets, and how many elements
// represent it; none where users have no name for it. The field is empty for the second
// element of the time.
func typedField(elems []bson.RawElement, series seriesFields) (bson.E, int) {
	stored, value := elems[0].Key(), elems[0].Value()
	_, isNumber := value.AsFloat64OK()
	switch {
	case stored == "meta" && series.meta != "":
		return bson.E{Key: series.meta, Value: value}, 1
	case strings.HasPrefix(stored, "meta.") && series.meta != "":
		return bson.E{Key: series.meta + strings.TrimPrefix(stored, "meta"), Value: value}, 1
	case stored == minimum+series.time && isNumber:
		return bson.E{Key: series.time, Value: value}, 1
	case stored == maximum+series.time && isNumber:
		return bson.E{}, 1
	}
	if field, ok := strings.CutPrefix(stored, values); ok {
		text, _ := value.StringValueOK()
		kind, bucketed := strings.CutSuffix(text, "_bucket")
		if !bucketed {
			return bson.E{}, 0
		}
		return bson.E{Key: field, Value: kind}, 1
	}
	return typedPair(elems)
}

// typedPair returns the field of which a key has both bounds: ascending with the minimum
// first, descending with the maximum first.
func typedPair(elems []bson.RawElement) (bson.E, int) {
	n, ok := elems[0].Value().AsFloat64OK()
	first, second := minimum, maximum
	if n < 0 {
		first, second = maximum, minimum
	}
	field, bound := strings.CutPrefix(elems[0].Key(), first)
	if !ok || !bound || len(elems) < 2 || elems[1].Key() != second+field {
		return bson.E{}, 0
	}
	return bson.E{Key: field, Value: elems[0].Value()}, 2
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
