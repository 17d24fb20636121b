package oplog

import "go.mongodb.org/mongo-driver/v2/bson"

// projected is the field that contains the entry: a projection cannot return a whole
// document and change a part of it (error 31249).
const projected = "entry"

// projection leaves the documents of a transaction on the server: of an applyOps it returns
// only commands and writes to views, which can be DDL. From 4.4 on find accepts aggregation
// expressions in a projection.
func projection() bson.D {
	isDDL := bson.D{{Key: "$or", Value: bson.A{
		bson.D{{Key: "$eq", Value: bson.A{"$$operation.op", OpCommand}}},
		bson.D{{Key: "$regexMatch", Value: bson.D{
			{Key: "input", Value: bson.D{{Key: "$ifNull", Value: bson.A{"$$operation.ns", ""}}}},
			{Key: "regex", Value: viewsPattern},
		}}},
	}}}
	kept := bson.D{{Key: "$filter", Value: bson.D{
		{Key: "input", Value: "$o.applyOps"},
		{Key: "as", Value: "operation"},
		{Key: "cond", Value: isDDL},
	}}}
	object := bson.D{{Key: "$cond", Value: bson.A{
		bson.D{{Key: "$isArray", Value: "$o.applyOps"}},
		bson.D{{Key: "$mergeObjects", Value: bson.A{"$o", bson.D{{Key: "applyOps", Value: kept}}}}},
		"$o",
	}}}
	return bson.D{{Key: projected, Value: bson.D{{Key: "$mergeObjects", Value: bson.A{
		"$$ROOT", bson.D{{Key: "o", Value: object}},
	}}}}}
}

// unproject returns the entry of a projection.
func unproject(raw bson.Raw) bson.Raw {
	if entry, ok := raw.Lookup(projected).DocumentOK(); ok {
		return entry
	}
	return raw
}
