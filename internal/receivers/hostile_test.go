package receivers

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/hostile"
)

// hostileNames are those of all tests, and one that is not UTF-8, which no server stores.
func hostileNames() []string { return append(hostile.Names(), "\xff\xfe not UTF-8") }

// raw parses Extended JSON.
func raw(t testing.TB, text string) bson.Raw {
	t.Helper()
	var doc bson.Raw
	if err := bson.UnmarshalExtJSON([]byte(text), false, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// named returns the notification of a dropped collection with a name in every place where
// a document can hold one.
func named(t testing.TB, name string) Notification {
	t.Helper()
	doc, err := bson.Marshal(bson.D{
		{Key: "_id", Value: "rs0:1795479993:0000000001:000000"},
		{Key: "operation", Value: "DROP_COLLECTION"}, {Key: "collection", Value: name}, {Key: "operation_statement", Value: "DROP COLLECTION " + name},
		{Key: "timestamp", Value: 1795479993.5}, {Key: "database", Value: name}, {Key: "ns", Value: name + "." + name}, {Key: "risk", Value: "destructive"},
		{Key: "mongosh", Value: "db.getSiblingDB('x').getCollection('" + name + "').drop()"}, {Key: "undo", Value: name},
		{Key: "before", Value: bson.D{{Key: "validator", Value: bson.D{{Key: "x", Value: name}}}}},
		{Key: "after", Value: bson.D{{Key: "x", Value: name}}}, {Key: "replica_set", Value: name}, {Key: "source", Value: "oplog"},
		{Key: "actor", Value: bson.D{{Key: "user", Value: name}, {Key: "app", Value: name}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return Notification{ID: "id", Document: doc}
}
