package mongosh

import (
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/schema/option"
)

// minimalOptions returns a collection's stored options without those that the create command
// refuses or derives. ok is false if they are malformed.
func minimalOptions(options bson.Raw) (minimal object, ok bool) {
	if len(options) == 0 {
		return nil, true
	}
	stored, ok := parse(options)
	if !ok {
		return nil, false
	}
	_, timeSeries := stored.get("timeseries")
	for _, f := range stored {
		v := f.stored()
		row := option.Collection(f.key)
		if row.Origin == option.Server || timeSeries && row.Origin == option.Buckets {
			continue
		}
		if f.key == "storageEngine" && row.IsDefault(v) {
			continue
		}
		minimal = append(minimal, field{f.key, collectionOption(f.key, v)})
	}
	return minimal, true
}

func collectionOption(key string, v bson.RawValue) node {
	switch key {
	case "collation":
		return minimalCollation(v)
	case "timeseries":
		return minimalTimeSeries(v)
	case "clusteredIndex":
		return minimalClusteredIndex(v)
	}
	row := option.Collection(key)
	if row.Reading == option.AsWritten {
		return raw(v)
	}
	return relax(row.Accepted(v))
}

// minimalTimeSeries omits the bucket span that the granularity implies.
func minimalTimeSeries(v bson.RawValue) node {
	stored, ok := nested(v)
	if !ok {
		return raw(v)
	}
	_, hasGranularity := stored.get("granularity")
	_, hasRounding := stored.get("bucketRoundingSeconds")
	derived := hasGranularity && !hasRounding
	var minimal object
	for _, f := range stored {
		if derived && f.key == "bucketMaxSpanSeconds" {
			continue
		}
		minimal = append(minimal, field{f.key, relax(f.stored())})
	}
	return minimal
}

// minimalClusteredIndex omits the version, which is 2 in every server with clustered collections,
// and the default name.
func minimalClusteredIndex(v bson.RawValue) node {
	stored, ok := nested(v)
	if !ok {
		return raw(v)
	}
	var minimal object
	for _, f := range stored {
		value := f.stored()
		if f.key == "v" && isNumber(value, 2) || f.key == "name" && isString(value, "_id_") {
			continue
		}
		minimal = append(minimal, field{f.key, relaxed(value)})
	}
	return minimal
}
