package schema

import "go.mongodb.org/mongo-driver/v2/bson"

// IsServerIndex reports whether a spec, with the user's field names, is the one that servers from
// 6.3 on create for a time series with a metaField.
func IsServerIndex(def Definition, spec bson.Raw) bool {
	meta, hasMeta := def.Options.Lookup("timeseries", "metaField").StringValueOK()
	timeField, _ := def.Options.Lookup("timeseries", "timeField").StringValueOK()
	if def.Kind != KindTimeSeries || !hasMeta || IndexName(spec) != meta+"_1_"+timeField+"_1" {
		return false
	}
	key, _ := spec.Lookup("key").DocumentOK()
	elems, err := key.Elements()
	if err != nil || len(elems) != 2 {
		return false
	}
	for i, field := range []string{meta, timeField} {
		if n, ok := elems[i].Value().AsInt64OK(); !ok || n != 1 || elems[i].Key() != field {
			return false
		}
	}
	return true
}
