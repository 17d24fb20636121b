package schema

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
)

// OptionChanges returns the parameters of the collMod that leads from some options to
// others; nil where no collMod can do it.
func OptionChanges(before, after bson.Raw) bson.Raw {
	params := bson.D{}
	for _, key := range Differing(before, after) {
		param, ok := OptionParameter(key, before, after)
		if !ok {
			return nil
		}
		params = append(params, param)
	}
	raw, err := rawdoc.Marshal(params)
	if err != nil {
		return nil
	}
	return raw
}

// OptionParameter is what a collMod says to bring one option to its new value, and
// whether it can.
func OptionParameter(key string, before, after bson.Raw) (bson.E, bool) {
	value, err := after.LookupErr(key)
	or := func(standard any) any {
		if err != nil {
			return standard
		}
		return value
	}
	capped := rawdoc.Truthy(before.Lookup("capped"))
	switch key {
	case "validator":
		return bson.E{Key: key, Value: or(bson.D{})}, true
	case "validationLevel":
		return bson.E{Key: key, Value: or("strict")}, true
	case "validationAction":
		return bson.E{Key: key, Value: or("error")}, true
	case "changeStreamPreAndPostImages":
		return bson.E{Key: key, Value: or(bson.D{{Key: "enabled", Value: false}})}, true
	case "recordPreImages":
		return bson.E{Key: key, Value: or(false)}, true
	case "expireAfterSeconds":
		return bson.E{Key: key, Value: or("off")}, true
	case "size":
		return bson.E{Key: "cappedSize", Value: value}, capped && err == nil
	case "max":
		return bson.E{Key: "cappedMax", Value: or(int32(0))}, capped
	case "timeseries":
		return coarserGranularity(before, after)
	}
	return bson.E{}, false
}

// coarserGranularity changes how a time series is bucketed in the only way that goes.
func coarserGranularity(before, after bson.Raw) (bson.E, bool) {
	was, _ := before.Lookup("timeseries").DocumentOK()
	is, _ := after.Lookup("timeseries").DocumentOK()
	changing := []string{"granularity", "bucketMaxSpanSeconds"}
	if string(Normalized(was, changing...)) != string(Normalized(is, changing...)) {
		return bson.E{}, false
	}
	steps := []string{"seconds", "minutes", "hours"}
	from, _ := was.Lookup("granularity").StringValueOK()
	to, _ := is.Lookup("granularity").StringValueOK()
	if i := slices.Index(steps, from); i < 0 || slices.Index(steps, to) <= i {
		return bson.E{}, false
	}
	return bson.E{Key: "timeseries", Value: bson.D{{Key: "granularity", Value: to}}}, true
}

// IndexChanges returns the parameters of the collMod that made one index of another; nil
// where there was none, or none could.
func IndexChanges(before, after bson.Raw) bson.Raw {
	if before == nil || EquivalentIndex(before, after) || NeedsRebuild(before, after) {
		return nil
	}
	params := bson.D{{Key: "name", Value: IndexName(after)}}
	for _, key := range Differing(before, after) {
		value, err := after.LookupErr(key)
		switch {
		case err == nil:
			params = append(params, bson.E{Key: key, Value: value})
		case key != "prepareUnique" || !rawdoc.Truthy(after.Lookup("unique")): // which takes it along
			params = append(params, bson.E{Key: key, Value: false})
		}
	}
	raw, err := rawdoc.Marshal(bson.D{{Key: "index", Value: params}})
	if err != nil {
		return nil
	}
	return raw
}

// NeedsRebuild reports whether two indexes of one name differ in what no collMod changes.
func NeedsRebuild(before, after bson.Raw) bool {
	changing := []string{"hidden", "prepareUnique", "expireAfterSeconds"}
	if rawdoc.Truthy(before.Lookup("prepareUnique")) {
		changing = append(changing, "unique")
	}
	_, expired := before.LookupErr("expireAfterSeconds")
	_, expires := after.LookupErr("expireAfterSeconds")
	return !EquivalentIndex(before, after, changing...) || expired == nil && expires != nil
}
