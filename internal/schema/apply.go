package schema

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema/option"
)

// ModifyOptions applies the parameters of a collMod to options, as the server does.
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

// withFlag sets an option that is on and removes one that is off, as the server's catalog does.
func withFlag(options bson.Raw, key string, value bson.RawValue, on bool) (bson.Raw, error) {
	if !on {
		return rawdoc.Without(options, key)
	}
	return rawdoc.With(options, key, value)
}

// withValidation changes one of validator, validationLevel and validationAction, and adds the
// other two with their defaults, as the server does. An empty validator means none.
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

// withTimeSeries changes bucketing parameters. A granularity implies its bucket span.
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

// ModifyIndex applies the parameters of a collMod to an index spec, as the server does: a flag
// that is off is removed, and unique removes prepareUnique.
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

// UnmodifyIndex restores the options of a spec that a collMod changed. An index can become unique
// only if prepareUnique was set before.
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

// bucketSpans returns the bucket spans that the granularities imply, in seconds.
func bucketSpans() map[string]int32 {
	return map[string]int32{"seconds": 3600, "minutes": 86400, "hours": 2592000}
}
