package detector

import (
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/schema"
)

// shardingNoop handles the no-ops in which a shard records changes to the sharding of a
// collection. Their statements are descriptions: the commands apply to the whole cluster.
func shardingNoop(w *detection, op operation) error {
	for _, kind := range []struct {
		field string
		op    notification.Operation
	}{
		{"shardCollection", notification.ShardCollection},
		{"refineCollectionShardKey", notification.RefineShardKey},
		{"reshardCollection", notification.ReshardCollection},
	} {
		full, ok := op.Object2.Lookup(kind.field).StringValueOK()
		if !ok {
			continue
		}
		db, coll, ok := strings.Cut(full, ".")
		if !ok || w.isTemporary(schema.Namespace{Database: db, Collection: coll}) || strings.HasPrefix(coll, schema.ReshardingPrefix) {
			return nil
		}
		op.unreported = op.FromMigrate
		w.emit(op, notification.Change{
			Operation:  kind.op,
			Database:   db,
			Collection: coll,
			Statement:  text(kind.op, coll),
			Before:     shardKey(op.Object2, "oldShardKey"),
			After:      shardKey(op.Object2, "shardKey"),
		})
		return nil
	}
	return nil
}

func shardKey(o2 bson.Raw, field string) bson.Raw {
	key, ok := o2.Lookup(field).DocumentOK()
	if !ok {
		return nil
	}
	raw, err := bson.Marshal(bson.D{{Key: "shardKey", Value: key}})
	if err != nil {
		return nil
	}
	return raw
}
