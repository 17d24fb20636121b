package schema

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// ModifyOptions does to options what the server does.
func ModifyOptions(options, params bson.Raw) (bson.Raw, error) {
	elems, err := params.Elements()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", rawdoc.ErrMalformed, err)
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
	case "timeseries":
		return withTimeSeries(options, value)
	}
	row := option.CollectionParameter(key)
	return withFlag(options, row.Name, value, !row.IsDefault(value))
}

// withFlag keeps an option only where it is on: that is how the catalog has it.
func withFlag(options bson.Raw, key string, value bson.RawValue, on bool) (bson.Raw, error) {
	if !on {
		return rawdoc.Without(options, key)
	}
	return rawdoc.With(options, key, value)
}

// withValidation changes one of the three and writes down the other two with their
// defaults, as the server does. An empty validator is none.
func withValidation(options bson.Raw, key string, value bson.RawValue) (bson.Raw, error) {
	empty := key == "validator" && option.Collection(key).IsDefault(value)
	options, err := withFlag(options, key, value, !empty)
	for _, name := range []string{"validationLevel", "validationAction"} {
		if err != nil {
			return nil, err
		}
		if _, lookupErr := options.LookupErr(name); lookupErr != nil {
			standard, _ := option.Collection(name).OffValue()
			options, err = rawdoc.With(options, name, standard)
		}
	}
	return options, err
}

// withTimeSeries changes bucketing parameters. A granularity brings its span.
func withTimeSeries(options bson.Raw, value bson.RawValue) (bson.Raw, error) {
	params, ok := value.DocumentOK()
	if !ok {
		return nil, rawdoc.ErrMalformed
	}
	series, ok := options.Lookup("timeseries").DocumentOK()
	if !ok {
		return nil, rawdoc.ErrMalformed
	}
	elems, err := params.Elements()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", rawdoc.ErrMalformed, err)
	}
	for _, el := range elems {
		if series, err = rawdoc.With(series, el.Key(), el.Value()); err != nil {
			return nil, err
		}
	}
	granularity, _ := params.Lookup("granularity").StringValueOK()
	if span, ok := bucketSpans()[granularity]; ok {
		if series, err = rawdoc.With(series, "bucketMaxSpanSeconds", span); err != nil {
			return nil, err
		}
	}
	return rawdoc.With(options, "timeseries", series)
}

// ModifyIndex does to an index spec what the server does: a flag that is off is
// not there, and an index made unique no longer prepares for it.
func ModifyIndex(spec, params bson.Raw) (bson.Raw, error) {
	elems, err := params.Elements()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", rawdoc.ErrMalformed, err)
	}
	for _, el := range elems {
		switch key := el.Key(); key {
		case "name", "keyPattern":
			continue
		case "forceNonUnique":
			spec, err = rawdoc.Without(spec, "unique")
		case "unique":
			if spec, err = rawdoc.With(spec, key, el.Value()); err == nil {
				spec, err = rawdoc.Without(spec, "prepareUnique")
			}
		default:
			spec, err = withFlag(spec, key, el.Value(), !option.Index(key).IsDefault(el.Value()))
		}
		if err != nil {
			return nil, err
		}
	}
	return spec, nil
}

// UnmodifyIndex returns a spec the options that a collMod found. An index can only be
// made unique after it was prepared for that.
func UnmodifyIndex(spec, params, old bson.Raw) (bson.Raw, error) {
	elems, err := params.Elements()
	if err != nil {
		return nil, err
	}
	for _, el := range elems {
		key := el.Key()
		if key == "name" || key == "keyPattern" {
			continue
		}
		was, hadErr := old.LookupErr(key)
		had := hadErr == nil && (key == "expireAfterSeconds" || rawdoc.Truthy(was))
		if spec, err = withFlag(spec, key, was, had); err != nil {
			return nil, err
		}
		if key == "unique" {
			if spec, err = rawdoc.With(spec, "prepareUnique", true); err != nil {
				return nil, err
			}
		}
	}
	return spec, nil
}

// bucketSpans are the spans of buckets that a granularity implies, in seconds.
func bucketSpans() map[string]int32 {
	return map[string]int32{"seconds": 3600, "minutes": 86400, "hours": 2592000}
}
