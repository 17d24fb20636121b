// Package past inserts the history of a replica set as a detector would have written it, for
// tests of queries and retention.
package past

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Span is the length of the history in seconds; it ends now.
const Span = 400

// Past is a random history of a few namespaces that are created, changed and dropped.
type Past struct {
	DB    *mongo.Database
	begin time.Time
}

// New fills a database with a random past that ends now.
func New(t testing.TB, client *mongo.Client, seed uint64) Past {
	t.Helper()
	p := Past{DB: client.Database(fmt.Sprintf("past_%d", seed)), begin: time.Now().Add(-Span * time.Second)}
	choose := rand.New(rand.NewPCG(seed, seed))
	var versions, changes []any
	for second := range Span {
		for i := range choose.IntN(3) {
			ns := fmt.Sprintf("db.c%d", choose.IntN(40))
			doc := p.Version(second, i, ns)
			if choose.IntN(3) == 0 {
				doc = append(doc, bson.E{Key: "definition", Value: nil})
			} else {
				doc = append(doc, bson.E{Key: "kind", Value: "collection"}, bson.E{Key: "definition", Value: bson.D{
					{Key: "options", Value: bson.D{{Key: "size", Value: second}}}, {Key: "indexes", Value: bson.A{}}}})
			}
			versions = append(versions, doc)
		}
		changes = append(changes, bson.D{{Key: "_id", Value: fmt.Sprintf("rs0:%010d:0000000001:000000", p.At(second).Unix())},
			{Key: "operation", Value: "CREATE_COLLECTION"}, {Key: "ns", Value: "db.c"}, {Key: "source", Value: "oplog"},
			{Key: "timestamp", Value: float64(p.At(second).UnixMilli()) / 1000}, {Key: "wall", Value: p.At(second)}, optime(p.At(second), 1)})
	}
	p.Insert(t, "schema_catalog", versions...)
	p.Insert(t, "schema_history", changes...)
	return p
}

// At returns the time of a second of the past.
func (p Past) At(second int) time.Time {
	return p.begin.Add(time.Duration(second) * time.Second).Truncate(time.Millisecond)
}

func optime(at time.Time, increment int) bson.E {
	return bson.E{Key: "optime", Value: bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(at.Unix()), I: uint32(increment)}}, {Key: "t", Value: int64(1)}}}
}

// Version returns a version of a namespace, the i-th of a second, without its kind and definition.
func (p Past) Version(second, i int, ns string) bson.D {
	return bson.D{{Key: "_id", Value: fmt.Sprintf("rs0:%010d:%010d:%s", p.At(second).Unix(), i+1, ns)}, {Key: "source", Value: "rs0"},
		{Key: "ns", Value: ns}, {Key: "database", Value: "db"}, {Key: "collection", Value: ns[3:]},
		optime(p.At(second), i+1), {Key: "wall", Value: p.At(second).Add(time.Duration(i) * time.Millisecond)}, {Key: "temp", Value: false}}
}

// Insert adds documents to a collection.
func (p Past) Insert(t testing.TB, collection string, docs ...any) {
	t.Helper()
	if _, err := p.DB.Collection(collection).InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
}

// Checkpoint stores the checkpoint of a NAME at a second.
func (p Past) Checkpoint(t testing.TB, name string, second int) {
	t.Helper()
	p.Insert(t, "schema_checkpoints", bson.D{{Key: "_id", Value: "rs0:" + name}, {Key: "source", Value: "rs0"}, optime(p.At(second), 9)})
}

// Count returns how many documents of a collection match.
func (p Past) Count(t testing.TB, collection string, filter bson.D) int64 {
	t.Helper()
	n, err := p.DB.Collection(collection).CountDocuments(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
