package oplog

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Shard identifies a replica set as a shard of a cluster. It is the zero value
// if the set is not a shard.
type Shard struct {
	Name    string
	Cluster bson.ObjectID
}

// IsZero reports whether the set is not a shard.
func (s Shard) IsZero() bool { return s == Shard{} }

// Shard reads the identity that the set got when it was added to a cluster. Reading
// admin.system.version needs a separate privilege.
func (m Member) Shard(ctx context.Context) (Shard, error) {
	raw, err := m.run(ctx, "admin", bson.D{
		{Key: "find", Value: "system.version"},
		{Key: "filter", Value: bson.D{{Key: "_id", Value: "shardIdentity"}}},
		{Key: "limit", Value: 1},
		{Key: "singleBatch", Value: true},
	})
	if err != nil {
		return Shard{}, fmt.Errorf("read the shard's identity from %s: %w", m.Host, err)
	}
	r, err := parseReply(raw)
	if err != nil || len(r.entries) == 0 {
		return Shard{}, err
	}
	name, _ := r.entries[0].Lookup("shardName").StringValueOK()
	cluster, _ := r.entries[0].Lookup("clusterId").ObjectIDOK()
	return Shard{Name: name, Cluster: cluster}, nil
}
