package detector

import (
	"go.mongodb.org/mongo-driver/v2/bson"
)

// optionChanges gives the parameters of the collMod that leads from some options to
// others. It holds nothing where no collMod can do it.
func optionChanges(before, after bson.Raw) bson.Raw {
	params := bson.D{}
	for _, key := range differing(before, after) {
		param, ok := optionParameter(key, after)
		if !ok {
			return nil
		}
		params = append(params, param)
	}
	raw, err := marshal(params)
	if err != nil {
		return nil
	}
	return raw
}

// optionParameter is what a collMod says to bring an option to its new value.
func optionParameter(key string, after bson.Raw) (bson.E, bool) {
	value, err := after.LookupErr(key)
	or := func(name string, absent any) (bson.E, bool) {
		if err != nil {
			return bson.E{Key: name, Value: absent}, absent != nil
		}
		return bson.E{Key: name, Value: value}, true
	}
	switch key {
	case "validator":
		return or(key, bson.D{})
	case "validationLevel":
		return or(key, "strict")
	case "validationAction":
		return or(key, "error")
	case "changeStreamPreAndPostImages":
		return or(key, bson.D{{Key: "enabled", Value: false}})
	case "recordPreImages":
		return or(key, false)
	case "expireAfterSeconds":
		return or(key, "off")
	case "size":
		return or("cappedSize", nil)
	case "max":
		return or("cappedMax", 0)
	case "timeseries":
		granularity, lookupErr := after.LookupErr(key, "granularity")
		return bson.E{Key: key, Value: bson.D{{Key: "granularity", Value: granularity}}}, lookupErr == nil
	}
	return bson.E{}, false
}

// indexChanges gives the parameters of the collMod that made one index of another; nil
// where there was none, or none could.
func indexChanges(before, after bson.Raw) bson.Raw {
	if before == nil || sameIndex(before, after) || remade(before, after) {
		return nil
	}
	params := bson.D{{Key: "name", Value: specName(after)}}
	for _, key := range differing(before, after) {
		value, err := after.LookupErr(key)
		switch {
		case err == nil:
			params = append(params, bson.E{Key: key, Value: value})
		case key != "prepareUnique" || !truthy(after.Lookup("unique")): // which takes it along
			params = append(params, bson.E{Key: key, Value: false})
		}
	}
	raw, err := marshal(bson.D{{Key: "index", Value: params}})
	if err != nil {
		return nil
	}
	return raw
}

// remade says whether two indexes of one name differ in what no collMod changes.
func remade(before, after bson.Raw) bool {
	fixed := []string{"hidden", "prepareUnique", "expireAfterSeconds"}
	if truthy(before.Lookup("prepareUnique")) {
		fixed = append(fixed, "unique")
	}
	a, aErr := without(before, fixed...)
	b, bErr := without(after, fixed...)
	_, expired := before.LookupErr("expireAfterSeconds")
	_, expires := after.LookupErr("expireAfterSeconds")
	return aErr != nil || bErr != nil || !sameIndex(a, b) || expired == nil && expires != nil
}

// differing lists the fields in which two definitions differ, those of the second in
// its order, then those that it lacks.
func differing(before, after bson.Raw) []string {
	a, b := normalized(before), normalized(after)
	var keys []string
	for _, el := range elements(b) {
		if old, err := a.LookupErr(el.Key()); err != nil || !old.Equal(el.Value()) {
			keys = append(keys, el.Key())
		}
	}
	for _, el := range elements(a) {
		if _, err := b.LookupErr(el.Key()); err != nil {
			keys = append(keys, el.Key())
		}
	}
	return keys
}

// elements of a document that was made here, and is well-formed.
func elements(doc bson.Raw) []bson.RawElement {
	elems, err := doc.Elements()
	if err != nil {
		return nil
	}
	return elems
}
