package schema

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// OptionChanges returns the parameters of the collMod that leads from some options to
// others; nil where no collMod can do it.
func OptionChanges(before, after bson.Raw) bson.Raw {
	params := bson.D{}
	for _, key := range DifferingOptions(before, after) {
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

// OptionParameter returns the parameter of a collMod that changes one option to its new
// value; ok is false where no collMod can.
func OptionParameter(key string, before, after bson.Raw) (parameter bson.E, ok bool) {
	row := option.Collection(key)
	switch {
	case key == "timeseries":
		return coarserGranularity(before, after)
	case !row.Changeable(), row.CappedOnly && !rawdoc.Truthy(before.Lookup("capped")):
		return bson.E{}, false
	}
	if value, err := after.LookupErr(key); err == nil {
		return bson.E{Key: row.Parameter, Value: row.Accepted(value)}, true
	}
	off, ok := row.OffValue()
	return bson.E{Key: row.Parameter, Value: off}, ok
}

// coarserGranularity changes how a time series is bucketed, in the only way that servers accept.
func coarserGranularity(before, after bson.Raw) (bson.E, bool) {
	was, _ := before.Lookup("timeseries").DocumentOK()
	is, _ := after.Lookup("timeseries").DocumentOK()
	changing := []string{"granularity", "bucketMaxSpanSeconds"}
	if string(normalized(was, option.Collection, asWritten, changing...)) != string(normalized(is, option.Collection, asWritten, changing...)) {
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
	for _, key := range DifferingIndex(before, after) {
		value, err := after.LookupErr(key)
		switch {
		case err == nil:
			params = append(params, bson.E{Key: key, Value: option.Index(key).Accepted(value)})
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

// WritesDownExpiry reports whether a collMod of an index only wrote down what 6.0 reads an
// expiry of NaN as: never. It does that when it becomes primary: no user did. An expiry of
// 0, which 5.0 lists for NaN, is written by users alone.
func WritesDownExpiry(before, after bson.Raw) bool {
	row := option.Index("expireAfterSeconds")
	was, is := before.Lookup(row.Name), row.Oldest(after.Lookup(row.Name)) // not NaN
	return len(row.Listed(was)) > 1 && row.Newest(was).Equal(is) && EquivalentIndex(before, after)
}

// NeedsRebuild reports whether two indexes of one name differ in what no collMod changes.
func NeedsRebuild(before, after bson.Raw) bool {
	var changing []string
	for row := range option.IndexOptions {
		if row.Changeable() && (row.Name != "unique" || rawdoc.Truthy(before.Lookup("prepareUnique"))) {
			changing = append(changing, row.Name)
		}
	}
	_, expired := before.LookupErr("expireAfterSeconds")
	_, expires := after.LookupErr("expireAfterSeconds")
	return !EquivalentIndex(before, after, changing...) || expired == nil && expires != nil
}
