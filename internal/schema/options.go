package schema

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/mongosh"
)

// changeOptions leads from one collection's options to another's by collMod, and
// says whether that can be done.
func changeOptions(ns detector.Namespace, from, to detector.Definition) (Script, bool) {
	var parameters bson.D
	var warning string
	for _, key := range differing(from.Options, to.Options) {
		parameter, ok := collModParameter(key, from.Options, to.Options)
		if !ok {
			return nil, false
		}
		parameters = append(parameters, parameter)
		if takesDocuments(key, from.Options, to.Options) {
			warning = "DATA MAY GO: " + mongosh.Quote(ns.String()) + " keeps fewer documents by its new " + key
		}
	}
	if len(parameters) == 0 {
		return nil, true
	}
	s := modify(ns, parameters)
	if warning != "" {
		s.Warning, s.Destroys = warning, true
	}
	return Script{s}, true
}

// differing lists the options that are not the same, in the order of their names.
func differing(from, to bson.Raw) []string {
	texts := func(options bson.Raw) map[string]string {
		out := map[string]string{}
		elems, _ := options.Elements()
		for _, el := range elems {
			if !isDefault(el) {
				out[el.Key()] = optionText(el)
			}
		}
		return out
	}
	before, after := texts(from), texts(to)
	var keys []string
	for key, text := range before {
		if other, there := after[key]; !there || other != text {
			keys = append(keys, key)
		}
	}
	for key := range after {
		if _, there := before[key]; !there {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// collModParameter is what makes one option the new one, and whether there is such
// a parameter.
func collModParameter(key string, from, to bson.Raw) (bson.E, bool) {
	value, err := to.LookupErr(key)
	orElse := func(standard any) any {
		if err != nil {
			return standard
		}
		return value
	}
	_, capped := from.Lookup("capped").BooleanOK()
	switch key {
	case "validator":
		return bson.E{Key: key, Value: orElse(bson.D{})}, true
	case "validationLevel":
		return bson.E{Key: key, Value: orElse("strict")}, true
	case "validationAction":
		return bson.E{Key: key, Value: orElse("error")}, true
	case "changeStreamPreAndPostImages":
		return bson.E{Key: key, Value: orElse(bson.D{{Key: "enabled", Value: false}})}, true
	case "recordPreImages":
		return bson.E{Key: key, Value: orElse(false)}, true
	case "expireAfterSeconds":
		return bson.E{Key: key, Value: orElse("off")}, true
	case "size":
		return bson.E{Key: "cappedSize", Value: value}, capped && err == nil
	case "max":
		return bson.E{Key: "cappedMax", Value: orElse(int32(0))}, capped
	case "timeseries":
		return growTimeSeries(from, to)
	}
	return bson.E{}, false
}

// growTimeSeries changes a granularity to a coarser one, the only way it goes.
func growTimeSeries(from, to bson.Raw) (bson.E, bool) {
	before, _ := from.Lookup("timeseries").DocumentOK()
	after, _ := to.Lookup("timeseries").DocumentOK()
	fixed := func(el bson.RawElement) bool { return el.Key() == "granularity" || el.Key() == "bucketMaxSpanSeconds" }
	if string(sorted(before, fixed)) != string(sorted(after, fixed)) {
		return bson.E{}, false
	}
	steps := []string{"seconds", "minutes", "hours"}
	was, _ := before.Lookup("granularity").StringValueOK()
	is, _ := after.Lookup("granularity").StringValueOK()
	if i := slices.Index(steps, was); i < 0 || slices.Index(steps, is) <= i {
		return bson.E{}, false
	}
	return bson.E{Key: "timeseries", Value: bson.D{{Key: "granularity", Value: is}}}, true
}

// takesDocuments says whether a limit gets lower, or comes where there was none.
func takesDocuments(key string, from, to bson.Raw) bool {
	switch key {
	case "expireAfterSeconds", "size", "max":
	default:
		return false
	}
	after, ok := to.Lookup(key).AsInt64OK()
	if !ok {
		return false
	}
	before, ok := from.Lookup(key).AsInt64OK()
	return !ok || after < before
}
