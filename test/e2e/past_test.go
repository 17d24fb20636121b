package e2e

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/mongotest"
)

// TestStartOldest starts at the oldest oplog entry, before the first catalog snapshot,
// and continues with a complete catalog.
func TestStartOldest(t *testing.T) {
	t.Parallel()
	own := mongotest.NewReplicaSet(t, mongotest.Options{})
	s := scene{T: t, uri: own.URIOf("", "", "past"), client: mongotest.Connect(t, own.URI())}
	s.db = s.client.Database("past")
	s.run(bson.D{{Key: "create", Value: "payments"}})
	s.index("payments", "amount_idx")
	s.rename("payments", "transfers")
	s.run(bson.D{{Key: "create", Value: "dropped"}})
	s.run(bson.D{{Key: "drop", Value: "dropped"}})
	p := s.start("DDLTAIL_START=oldest")
	s.run(bson.D{{Key: "dropIndexes", Value: "transfers"}, {Key: "index", Value: "amount_idx"}})
	docs := s.documents("schema_history", 6)
	wantStatements(t, docs,
		"CREATE COLLECTION payments",
		"db.payments.createIndex({amount_idx: 1}, {name: 'amount_idx'})",
		"db.getSiblingDB('past').getCollection('payments').renameCollection('transfers')",
		"CREATE COLLECTION dropped",
		"DROP COLLECTION dropped",
		"db.getSiblingDB('past').getCollection('transfers').dropIndex('amount_idx')")
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Later runs begin at the checkpoint, whatever START says.
	s.start("DDLTAIL_START=oldest", "DDLTAIL_RECONCILE=start")
	s.until("the catalogs are compared", func() bool {
		return s.db.Collection("schema_checkpoints").FindOne(t.Context(), bson.D{{Key: "compared", Value: bson.D{{Key: "$exists", Value: true}}}}).Err() == nil
	})
	if now := s.find("schema_history"); len(now) != len(docs) {
		t.Errorf("%d documents after a second run, want %d: %s", len(now), len(docs), statements(now))
	}
}

// TestLargeChange makes a change whose notification would exceed BSON's limit: before,
// after, mongosh and undo each contain a validator of 6 MB.
func TestLargeChange(t *testing.T) {
	s := newScene(t, "large_change")
	s.start()
	s.run(bson.D{{Key: "create", Value: "payments"}})
	for _, letter := range []string{"a", "b"} {
		validator := bson.D{{Key: "text", Value: strings.Repeat(letter, 6<<20)}}
		s.run(bson.D{{Key: "collMod", Value: "payments"}, {Key: "validator", Value: validator}})
	}
	docs := s.documents("schema_notifications", 3)
	last := docs[len(docs)-1]
	cut, err := last.Lookup("truncated").Array().Values()
	if err != nil || len(cut) == 0 || last.Lookup("operation").StringValue() != "MODIFY_COLLECTION" {
		t.Fatalf("nothing was cut of %d bytes", len(last))
	}
	for _, field := range cut {
		name := field.StringValue()
		if v := last.Lookup(name); v.Type != 0 && !strings.HasSuffix(v.StringValue(), "…") {
			t.Errorf("%s is listed as truncated but present", name)
		}
	}
	s.run(bson.D{{Key: "drop", Value: "payments"}})
	s.documents("schema_notifications", 4)
}
