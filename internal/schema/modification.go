package schema

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// OptionChanges returns the collMod parameters that change the options before into after;
// nil if collMod cannot make the change.
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

// OptionParameter returns the collMod parameter that changes one option to its value in
// after; ok is false if collMod cannot change it.
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

// coarserGranularity returns the collMod parameter that gives a time series a coarser
// granularity. Servers refuse any other change of its bucketing; ok is false for those.
func coarserGranularity(before, after bson.Raw) (parameter bson.E, ok bool) {
	oldOptions, _ := before.Lookup("timeseries").DocumentOK()
	newOptions, _ := after.Lookup("timeseries").DocumentOK()
	changing := []string{"granularity", "bucketMaxSpanSeconds"}
	fixed := func(doc bson.Raw) string { return string(normalized(doc, option.Collection, asWritten, changing...)) }
	if fixed(oldOptions) != fixed(newOptions) {
		return bson.E{}, false
	}
	steps := []string{"seconds", "minutes", "hours"}
	from, _ := oldOptions.Lookup("granularity").StringValueOK()
	to, _ := newOptions.Lookup("granularity").StringValueOK()
	if i := slices.Index(steps, from); i < 0 || slices.Index(steps, to) <= i {
		return bson.E{}, false
	}
	return bson.E{Key: "timeseries", Value: bson.D{{Key: "granularity", Value: to}}}, true
}

// IndexChanges returns the collMod parameters that change the index before into after; nil
// if before is nil, the two are equivalent, or collMod cannot make the change.
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
		case key != "prepareUnique" || !rawdoc.Truthy(after.Lookup("unique")): // setting unique clears prepareUnique
			params = append(params, bson.E{Key: key, Value: false})
		}
	}
	raw, err := rawdoc.Marshal(bson.D{{Key: "index", Value: params}})
	if err != nil {
		return nil
	}
	return raw
}

// NormalizesNaNExpiry reports whether a collMod of an index only replaced an
// expireAfterSeconds of NaN by 2147483647 (never), as which 6.0 reads it. A 6.0 server does
// this by itself when it becomes primary. An expiry of 0, as which 5.0 lists NaN, is set
// only by users.
func NormalizesNaNExpiry(before, after bson.Raw) bool {
	row := option.Index("expireAfterSeconds")
	oldExpiry := before.Lookup(row.Name)
	newExpiry := row.Oldest(after.Lookup(row.Name)) // 0 for NaN, which then differs
	return len(row.Listed(oldExpiry)) > 1 && row.Newest(oldExpiry).Equal(newExpiry) && EquivalentIndex(before, after)
}

// NeedsRebuild reports whether two indexes of the same name differ in a field that collMod
// cannot change.
func NeedsRebuild(before, after bson.Raw) bool {
	var changing []string
	for row := range option.IndexOptions {
		if row.Changeable() && (row.Name != "unique" || rawdoc.Truthy(before.Lookup("prepareUnique"))) {
			changing = append(changing, row.Name)
		}
	}
	_, noneBefore := before.LookupErr("expireAfterSeconds")
	_, noneAfter := after.LookupErr("expireAfterSeconds")
	return !EquivalentIndex(before, after, changing...) || noneBefore == nil && noneAfter != nil
}
