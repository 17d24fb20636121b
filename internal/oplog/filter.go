package oplog

import "go.mongodb.org/mongo-driver/v2/bson"

// viewsPattern finds the collection that holds a database's views.
const viewsPattern = `\.system\.views$`

// filter selects, on the server, the entries within bounds that can contain a schema change,
// and few others.
//
// Each clause matches one form of DDL in the oplog:
//
//   - a separate command, or the commit or abort of a prepared transaction;
//   - an applyOps with a command among its operations;
//   - the last entry of a transaction that is too large for one entry, regardless of its
//     content, since the DDL may be in an earlier entry (8.0's batched inserts look the
//     same and have multiOpType);
//   - an applyOps outside a transaction that writes views;
//   - a view, which is a document in system.views;
//   - on a shard, a no-op that reports what happened to a collection's sharding.
func filter(bounds bson.D, sharded bool) bson.D {
	views := bson.Regex{Pattern: viewsPattern}
	lastOfTransaction := bson.D{
		{Key: "op", Value: OpCommand},
		{Key: "o.partialTxn", Value: bson.D{{Key: "$ne", Value: true}}},
		{Key: "o.prepare", Value: bson.D{{Key: "$ne", Value: true}}},
		{Key: "$or", Value: bson.A{
			bson.D{{Key: "o.applyOps.op", Value: OpCommand}},
			bson.D{
				{Key: "prevOpTime.ts", Value: bson.D{{Key: "$gt", Value: bson.Timestamp{}}}},
				{Key: "multiOpType", Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$gt", Value: 0}}}}},
			},
			bson.D{
				{Key: "o.applyOps.ns", Value: views},
				{Key: "lsid", Value: bson.D{{Key: "$exists", Value: false}}},
			},
		}},
	}
	ways := bson.A{
		bson.D{
			{Key: "op", Value: OpCommand},
			{Key: "o.applyOps", Value: bson.D{{Key: "$exists", Value: false}}},
		},
		lastOfTransaction,
		bson.D{
			{Key: "op", Value: bson.D{{Key: "$in", Value: bson.A{OpInsert, OpUpdate, OpDelete}}}},
			{Key: "ns", Value: views},
		},
	}
	if sharded {
		ways = append(ways, shardingNoops())
	}
	return bson.D{{Key: "ts", Value: bounds}, {Key: "$or", Value: ways}}
}

// shardingNoops selects the no-ops that record DDL of a cluster, by the field of o2
// that names the collection.
func shardingNoops() bson.D {
	var kinds bson.A
	for _, field := range []string{"shardCollection", "refineCollectionShardKey", "reshardCollection"} {
		kinds = append(kinds, bson.D{{Key: "o2." + field, Value: bson.D{{Key: "$exists", Value: true}}}})
	}
	return bson.D{{Key: "op", Value: OpNoop}, {Key: "$or", Value: kinds}}
}
