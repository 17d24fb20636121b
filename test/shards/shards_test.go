package shards

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// published is the database of ddltail's own collections.
const published = "reported"

// TestShards follows a collection that is sharded, moved and resharded. What the
// cluster copies between its shards changes their catalogs and is not reported.
func TestShards(t *testing.T) {
	c := newCluster(t)
	binary := build(t)
	for _, s := range c.shards {
		run(t, binary, s.set)
	}
	c.onPrimary(t, bson.D{{Key: "create", Value: "orders"}})
	c.onPrimary(t, bson.D{{Key: "insert", Value: "orders"}, {Key: "documents", Value: bson.A{bson.D{{Key: "_id", Value: 1}}}}})
	c.onPrimary(t, bson.D{{Key: "createIndexes", Value: "orders"}, {Key: "indexes", Value: bson.A{
		bson.D{{Key: "key", Value: bson.D{{Key: "k", Value: 1}}}, {Key: "name", Value: "k_1"}},
	}}})
	c.onPrimary(t, bson.D{{Key: "_shardsvrCreateCollection", Value: "orders"},
		{Key: "shardKey", Value: bson.D{{Key: "k", Value: 1}}}, {Key: "unique", Value: false}, majority()})
	c.moveChunk(t, "shop.orders")
	wantCatalog(t, c.shards[1], "k_1")
	command(t, c.config, "admin", bson.D{{Key: "_configsvrReshardCollection", Value: "shop.orders"},
		{Key: "key", Value: bson.D{{Key: "j", Value: 1}}}, {Key: "unique", Value: false}, {Key: "numInitialChunks", Value: 1}, majority()})
	wantCatalog(t, c.shards[0], "k_1", "j_1")
	wantCatalog(t, c.shards[1])
	c.onPrimary(t, bson.D{{Key: "_shardsvrDropDatabase", Value: 1}, majority()})

	wantReported(t, c.shards[0], "CREATE COLLECTION orders", "db.orders.createIndex({k: 1}, {name: 'k_1'})",
		"SHARD COLLECTION orders", "DROP COLLECTION orders", "db.getSiblingDB('shop').dropDatabase()")
	// Up to 8.0 every shard writes its own dropDatabase, without fromMigrate.
	wantReported(t, c.shards[1], "db.getSiblingDB('shop').dropDatabase()")
}

// TestOtherNoops puts the no-ops that servers from 6.1 on write, by hand from the
// server's source, into the oplog of a set that is marked as a shard by hand too.
func TestOtherNoops(t *testing.T) {
	s := shard{set: mongotest.NewReplicaSet(t, mongotest.Options{})}
	s.client = mongotest.Connect(t, s.set.URI())
	p := run(t, build(t), s.set)
	before := newest(t, s.client)
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := s.client.Database("admin").Collection("system.version").InsertOne(t.Context(),
		bson.D{{Key: "_id", Value: "shardIdentity"}, {Key: "shardName", Value: "rs0"}, {Key: "clusterId", Value: bson.NewObjectID()}})
	if err != nil {
		t.Fatal(err)
	}
	m := s.set.Members()[0]
	stable(t, s.client, timestamp(newest(t, s.client)))
	if err := m.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.RestartStandalone(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := func(field string) bson.D { return bson.D{{Key: field, Value: 1}} }
	appendNoops(t, mongotest.Connect(t, m.URI()), before,
		bson.D{{Key: "refineCollectionShardKey", Value: "shop.orders"}, {Key: "shardKey", Value: key("b")}, {Key: "oldShardKey", Value: key("a")}},
		bson.D{{Key: "shards", Value: bson.A{}}, {Key: "shardCollectionPrepare", Value: "shop.orders"}},
		bson.D{{Key: "movePrimary", Value: "shop"}, {Key: "from", Value: "a"}, {Key: "to", Value: "b"}},
		bson.D{{Key: "reshardCollection", Value: "shop.orders"}, {Key: "shardKey", Value: key("c")}, {Key: "oldShardKey", Value: key("b")}})
	if err := m.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.set.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, build(t), s.set)
	wantReported(t, s, "REFINE SHARD KEY orders", "RESHARD COLLECTION orders")
}

// stable waits until a checkpoint of the server includes a timestamp: a standalone does
// not replay the oplog, so that later writes would be lost.
func stable(t *testing.T, client *mongo.Client, at bson.Timestamp) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		command(t, client, "admin", bson.D{{Key: "fsync", Value: 1}})
		status := command(t, client, "admin", bson.D{{Key: "replSetGetStatus", Value: 1}})
		if seconds, i, ok := status.Lookup("lastStableRecoveryTimestamp").TimestampOK(); ok && !(bson.Timestamp{T: seconds, I: i}).Before(at) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no checkpoint holds %d:%d", at.T, at.I)
		}
	}
}

func timestamp(entry bson.Raw) bson.Timestamp {
	seconds, i := entry.Lookup("ts").Timestamp()
	return bson.Timestamp{T: seconds, I: i}
}

func appendNoops(t *testing.T, client *mongo.Client, after bson.Raw, objects ...bson.D) {
	at := timestamp(after).T
	for i, o2 := range objects {
		_, err := client.Database("local").Collection("oplog.rs").InsertOne(t.Context(), bson.D{
			{Key: "op", Value: "n"}, {Key: "ns", Value: "shop.orders"}, {Key: "o", Value: bson.D{{Key: "msg", Value: "by hand"}}}, {Key: "o2", Value: o2},
			{Key: "ts", Value: bson.Timestamp{T: at + 100, I: uint32(i + 1)}}, {Key: "t", Value: after.Lookup("t")},
			{Key: "v", Value: after.Lookup("v")}, {Key: "wall", Value: time.Now()},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func newest(t *testing.T, client *mongo.Client) bson.Raw {
	raw, err := client.Database("local").Collection("oplog.rs").FindOne(t.Context(), bson.D{},
		options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})).Raw()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func build(t *testing.T) string {
	binary, err := ddltailtest.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func run(t *testing.T, binary string, set *mongotest.ReplicaSet) *ddltailtest.Process {
	p, err := ddltailtest.Start(binary, []string{"run"}, "DDLTAIL_MONGODB_URI="+set.URIOf("", "", published))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ddltail beside %s:\n%s", set.Name(), p.Stderr())
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// wantReported waits for a last change and compares what was reported of the database shop.
func wantReported(t *testing.T, s shard, want ...string) {
	t.Helper()
	identity := s.client.Database("admin").Collection("system.version").FindOne(t.Context(), bson.D{{Key: "_id", Value: "shardIdentity"}})
	var id struct {
		Name    string        `bson:"shardName"`
		Cluster bson.ObjectID `bson:"clusterId"`
	}
	if err := identity.Decode(&id); err != nil {
		t.Fatal(err)
	}
	passed(t, s, "last")
	var got []string
	for _, doc := range find(t, s, "schema_notifications", bson.D{{Key: "database", Value: "shop"}}) {
		got = append(got, doc.Lookup("operation_statement").StringValue())
		name, _ := doc.Lookup("shard").StringValueOK()
		cluster, _ := doc.Lookup("cluster_id").ObjectIDOK()
		if name != id.Name || cluster != id.Cluster {
			t.Errorf("%s: want the shard %s of %s", doc, id.Name, id.Cluster)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("beside %s\n%s\nwas reported, want\n%s", s.set.Name(), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wantCatalog waits until the catalog has what the shard has, and compares it with
// what is expected of shop.orders: its indexes, none at all where it is not there.
func wantCatalog(t *testing.T, s shard, want ...string) {
	t.Helper()
	passed(t, s, "catalog_"+strings.Join(want, ""))
	versions := find(t, s, "schema_catalog", bson.D{{Key: "ns", Value: "shop.orders"}})
	if len(versions) == 0 {
		t.Fatalf("beside %s the catalog has nothing of shop.orders", s.set.Name())
	}
	newest := versions[len(versions)-1]
	infos, err := s.client.Database("shop").ListCollectionSpecifications(t.Context(), bson.D{{Key: "name", Value: "orders"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(want) == 0 {
		if newest.Lookup("definition").Type != bson.TypeNull || len(infos) != 0 {
			t.Errorf("beside %s: %s, the server has %v; want nothing", s.set.Name(), newest, infos)
		}
		return
	}
	var got []string
	specs, _ := newest.Lookup("definition", "indexes").Array().Values()
	for _, spec := range specs {
		got = append(got, spec.Document().Lookup("name").StringValue())
	}
	if !slices.Equal(got, want) {
		t.Errorf("beside %s the catalog has the indexes %q, want %q", s.set.Name(), got, want)
	}
	_, id := newest.Lookup("uuid").Binary()
	if len(infos) != 1 || !slices.Equal(id, infos[0].UUID.Data) {
		t.Errorf("beside %s the catalog has the UUID %x, want that of %v", s.set.Name(), id, infos)
	}
}

// passed makes a change of its own and waits until it is reported.
func passed(t *testing.T, s shard, name string) {
	t.Helper()
	if err := s.client.Database("marks").CreateCollection(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if len(find(t, s, "schema_notifications", bson.D{{Key: "ns", Value: "marks." + name}})) > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("beside %s %s is not reported", s.set.Name(), name)
		}
	}
}

func find(t *testing.T, s shard, coll string, where bson.D) []bson.Raw {
	t.Helper()
	cur, err := s.client.Database(published).Collection(coll).Find(t.Context(), where, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		t.Fatal(err)
	}
	var docs []bson.Raw
	if err := cur.All(t.Context(), &docs); err != nil {
		t.Fatal(err)
	}
	return docs
}
