package oplog

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// ReplicaSetID reads the unique id that a set gets when it is initiated. Reading
// local.system.replset needs a separate privilege.
func (m Member) ReplicaSetID(ctx context.Context) (bson.ObjectID, error) {
	raw, err := m.run(ctx, database, bson.D{
		{Key: "find", Value: "system.replset"},
		{Key: "limit", Value: 1},
		{Key: "singleBatch", Value: true},
		{Key: "projection", Value: bson.D{{Key: "settings.replicaSetId", Value: 1}}},
	})
	if err != nil {
		return bson.ObjectID{}, fmt.Errorf("read the replica set's id: %w", err)
	}
	r, err := parseReply(raw)
	if err != nil || len(r.entries) == 0 {
		return bson.ObjectID{}, err
	}
	id, _ := r.entries[0].Lookup("settings", "replicaSetId").ObjectIDOK()
	return id, nil
}
