// Package shards runs ddltail on the shards of a real cluster without a mongos: the tests
// send the commands of a mongos to the config server and the shards.
package shards

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/test/mongotest"
)

// wire60 is 6.0's wire version.
const wire60 = 17

// cluster is a config server and two shards, each a set of one member. The first is the
// primary shard of the database shop.
type cluster struct {
	config  *mongo.Client
	shards  []shard
	version bson.Raw
}

type shard struct {
	set    *mongotest.ReplicaSet
	client *mongo.Client
}

func newCluster(t *testing.T) cluster {
	config := start(t, "--configsvr", "cfg", bson.D{{Key: "configsvr", Value: true}})
	c := cluster{config: config.client}
	hello := command(t, c.config, "admin", bson.D{{Key: "hello", Value: 1}})
	if newest := hello.Lookup("maxWireVersion").Int32(); newest < wire60 {
		t.Skipf("the commands of a router that are sent here are those of 6.0, and no-ops tell of sharding from 6.0 on; wire version %d", newest)
	}
	// By default resharding takes at least five minutes.
	command(t, c.config, "admin", bson.D{{Key: "setParameter", Value: 1}, {Key: "reshardingMinimumOperationDurationMillis", Value: 0}})
	for _, name := range []string{"sh0", "sh1"} {
		s := start(t, "--shardsvr", name, nil)
		command(t, c.config, "admin", bson.D{
			{Key: "_configsvrAddShard", Value: name + "/" + s.set.Hosts()}, {Key: "name", Value: name}, majority(),
		})
		c.shards = append(c.shards, s)
	}
	made := command(t, c.config, "admin", bson.D{
		{Key: "_configsvrCreateDatabase", Value: "shop"}, {Key: "primaryShardId", Value: "sh0"}, majority(),
	})
	c.version = made.Lookup("databaseVersion").Document()
	return c
}

// start returns a set of one member that is a config server or can become a shard.
func start(t *testing.T, role, name string, more bson.D) shard {
	set := mongotest.NewReplicaSet(t, mongotest.Options{Name: name, Uninitiated: true, Args: []string{role}})
	config := bson.D{{Key: "_id", Value: name}, {Key: "members", Value: bson.A{bson.D{{Key: "_id", Value: 0}, {Key: "host", Value: set.Hosts()}}}}}
	command(t, mongotest.Connect(t, set.Members()[0].URI()), "admin", bson.D{{Key: "replSetInitiate", Value: append(config, more...)}})
	if err := set.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return shard{set: set, client: mongotest.Connect(t, set.URI())}
}

func majority() bson.E {
	return bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: writeconcern.WCMajority}}}
}

// command runs a command, which must succeed, and returns the reply.
func command(t *testing.T, client *mongo.Client, db string, cmd bson.D) bson.Raw {
	t.Helper()
	raw, err := client.Database(db).RunCommand(t.Context(), cmd).Raw()
	if err != nil {
		t.Fatalf("%s: %v", cmd[0].Key, err)
	}
	return raw
}

// onPrimary sends a command to the database's primary shard, as a router would.
func (c cluster) onPrimary(t *testing.T, cmd bson.D) bson.Raw {
	t.Helper()
	return command(t, c.shards[0].client, "shop", append(cmd, bson.E{Key: "databaseVersion", Value: c.version}))
}

// moveChunk moves a collection's only chunk to the second shard.
func (c cluster) moveChunk(t *testing.T, ns string) {
	t.Helper()
	var coll struct {
		UUID      bson.Binary    `bson:"uuid"`
		Epoch     bson.ObjectID  `bson:"lastmodEpoch"`
		Timestamp bson.Timestamp `bson:"timestamp"`
	}
	if err := c.config.Database("config").Collection("collections").FindOne(t.Context(), bson.D{{Key: "_id", Value: ns}}).Decode(&coll); err != nil {
		t.Fatal(err)
	}
	var chunk bson.Raw
	if err := c.config.Database("config").Collection("chunks").FindOne(t.Context(), bson.D{{Key: "uuid", Value: coll.UUID}}).Decode(&chunk); err != nil {
		t.Fatal(err)
	}
	cmd := bson.D{{Key: "_configsvrMoveChunk", Value: 1}, {Key: "ns", Value: ns}}
	for _, field := range []string{"_id", "uuid", "min", "max", "shard", "lastmod"} {
		cmd = append(cmd, bson.E{Key: field, Value: chunk.Lookup(field)})
	}
	command(t, c.config, "admin", append(cmd,
		bson.E{Key: "lastmodEpoch", Value: coll.Epoch},
		bson.E{Key: "lastmodTimestamp", Value: coll.Timestamp},
		bson.E{Key: "toShard", Value: "sh1"},
		bson.E{Key: "secondaryThrottle", Value: bson.D{}},
		bson.E{Key: "waitForDelete", Value: true},
		bson.E{Key: "forceJumbo", Value: 0},
		majority()))
}
