package e2e

import (
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/mongotest"
)

// TestCatalogKnowsWhatEntriesLeaveOut drops objects that existed before the first start
// and later ones: the entry of a drop does not contain the definition.
func TestCatalogKnowsWhatEntriesLeaveOut(t *testing.T) {
	detector := newScene(t, "known_before")
	s := detector
	s.db = s.client.Database("known_and_dropped")
	validator := bson.D{{Key: "validator", Value: bson.D{{Key: "a", Value: bson.D{{Key: "$gt", Value: 1}}}}}}
	s.run(append(bson.D{{Key: "create", Value: "old"}}, validator...))
	s.run(bson.D{{Key: "create", Value: "old_view"}, {Key: "viewOn", Value: "old"}, {Key: "pipeline", Value: bson.A{}}})
	s.start()
	s.run(bson.D{{Key: "drop", Value: "old"}})
	s.run(bson.D{{Key: "create", Value: "new"}, {Key: "capped", Value: true}, {Key: "size", Value: 4096}})
	s.run(bson.D{{Key: "dropDatabase", Value: 1}})

	var got []string
	s.until("the drop of the database is reported", func() bool {
		docs := detector.findOf("schema_notifications", s.db.Name())
		got = nil
		for _, doc := range docs {
			got = append(got, summary(doc))
		}
		return len(docs) > 0 && docs[len(docs)-1].Lookup("operation").StringValue() == "DROP_DATABASE"
	})
	want := []string{
		`DROP_COLLECTION old before:{"validator": {"a": {"$gt": {"$numberInt":"1"}}}}`,
		`CREATE_COLLECTION new before:`,
		`DROP_COLLECTION new before:{"capped": true,"size": {"$numberInt":"4096"}}`,
		`DROP_VIEW old_view before:{"viewOn": "old","pipeline": []}`,
		`DROP_DATABASE before: took new old_view`,
	}
	sortDrops(got)
	sortDrops(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// sortDrops sorts the drops of one dropDatabase, whose order is random.
func sortDrops(lines []string) { slices.Sort(lines[min(2, len(lines)):]) }

func summary(doc bson.Raw) string {
	text := doc.Lookup("operation").StringValue() + " "
	if coll, ok := doc.Lookup("collection").StringValueOK(); ok {
		text += coll + " "
	}
	text += "before:"
	if before, ok := doc.Lookup("before").DocumentOK(); ok {
		text += before.String()
	}
	if array, ok := doc.Lookup("collections").ArrayOK(); ok {
		var names []string
		values, _ := array.Values()
		for _, v := range values {
			names = append(names, v.StringValue())
		}
		slices.Sort(names)
		text += " took " + strings.Join(names, " ")
	}
	return text
}

// TestFilters compares the queue, which is filtered, with the history, which is not.
func TestFilters(t *testing.T) {
	s := newScene(t, "filters")
	s.start("DDLTAIL_NAMESPACES=filters.p*,filters.", "DDLTAIL_EXCLUDE_NAMESPACES=*.private", "DDLTAIL_OPERATIONS=CREATE_COLLECTION,RENAME_COLLECTION")
	for _, name := range []string{"payments", "private", "orders"} {
		s.run(bson.D{{Key: "create", Value: name}})
	}
	s.must(s.client.Database("admin").RunCommand(t.Context(),
		bson.D{{Key: "renameCollection", Value: "filters.orders"}, {Key: "to", Value: "filters.parcels"}}).Err())
	createIndex(s, "payments", "amount_idx")
	s.run(bson.D{{Key: "create", Value: "plans"}})
	wantStatements(t, s.documents("schema_notifications", 3), "CREATE COLLECTION payments",
		"db.getSiblingDB('filters').getCollection('orders').renameCollection('parcels')", "CREATE COLLECTION plans")
	if history := s.documents("schema_history", 6); len(history) != 6 {
		t.Errorf("the history has %q, want all six", statements(history))
	}
}

// TestOutThatFails runs a $out that fails after its temporary collection was created.
func TestOutThatFails(t *testing.T) {
	s := newScene(t, "failed_out")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("versions: %s", s.temporaryVersions())
		}
	})
	s.start()
	_, err := s.db.Collection("source").InsertOne(t.Context(), bson.D{{Key: "a", Value: 1}})
	s.must(err)
	_, err = s.db.Collection("source").Aggregate(t.Context(), bson.A{
		bson.D{{Key: "$project", Value: bson.D{{Key: "x", Value: bson.D{{Key: "$divide", Value: bson.A{"$a", 0}}}}}}},
		bson.D{{Key: "$out", Value: "target"}},
	})
	if err == nil {
		t.Fatal("the division by zero succeeded")
	}
	s.run(bson.D{{Key: "create", Value: "last"}})
	wantStatements(t, s.documents("schema_notifications", 2), "CREATE COLLECTION source", "CREATE COLLECTION last")
	wantStatements(t, s.documents("schema_history", 2), "CREATE COLLECTION source", "CREATE COLLECTION last")
	s.until("the catalog has the creation of the temporary collection and its end", func() bool { return len(s.temporaryVersions()) == 2 })
	s.wantNoTemporary()
}

// TestOutCutByACrash kills the server while the temporary collection of a $out exists.
// The server drops it when it is primary again.
func TestOutCutByACrash(t *testing.T) {
	t.Parallel()
	set := mongotest.NewReplicaSet(t, mongotest.Options{Args: []string{"--setParameter", "enableTestCommands=1"}})
	s := scene{T: t, uri: set.URIOf("", "", "cut_out"), client: mongotest.Connect(t, set.URI())}
	s.db = s.client.Database("cut_out")
	s.start()
	_, err := s.db.Collection("source").InsertOne(t.Context(), bson.D{{Key: "a", Value: 1}})
	s.must(err)
	s.must(s.client.Database("admin").RunCommand(t.Context(),
		bson.D{{Key: "configureFailPoint", Value: "outWaitAfterTempCollectionCreation"}, {Key: "mode", Value: "alwaysOn"}}).Err())
	done := make(chan struct{})
	go func() {
		defer close(done)
		// It ends with the server.
		_, _ = s.db.Collection("source").Aggregate(t.Context(), bson.A{bson.D{{Key: "$out", Value: "target"}}})
	}()
	s.until("the temporary collection is in the catalog", func() bool { return len(s.temporaryVersions()) == 1 })
	s.must(set.Members()[0].Kill())
	s.must(set.Members()[0].Restart(t.Context()))
	s.must(set.WaitReady(t.Context()))
	<-done
	s.run(bson.D{{Key: "create", Value: "last"}})
	wantStatements(t, s.documents("schema_notifications", 2), "CREATE COLLECTION source", "CREATE COLLECTION last")
	s.wantNoTemporary()
}

func (s scene) temporaryVersions() []bson.Raw {
	s.Helper()
	return s.versions(bson.D{{Key: "collection", Value: bson.Regex{Pattern: `^tmp\.agg_out\.`}}})
}

func (s scene) versions(where bson.D) []bson.Raw {
	s.Helper()
	cur, err := s.db.Collection("schema_catalog").Find(s.Context(), where, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	s.must(err)
	var versions []bson.Raw
	s.must(cur.All(s.Context(), &versions))
	return versions
}

// wantNoTemporary checks that neither the server nor the catalog has a temporary
// collection left.
func (s scene) wantNoTemporary() {
	s.Helper()
	newest := bson.Raw(nil)
	s.until("the temporary collection is gone from the catalog", func() bool {
		versions := s.temporaryVersions()
		if len(versions) == 0 {
			return true
		}
		newest = versions[len(versions)-1]
		return newest.Lookup("definition").Type == bson.TypeNull
	})
	names, err := s.db.ListCollectionNames(s.Context(), bson.D{{Key: "name", Value: bson.Regex{Pattern: `^tmp\.`}}})
	s.must(err)
	if len(names) != 0 {
		s.Errorf("the server still has %q, the catalog says %s", names, newest)
	}
	for _, v := range s.temporaryVersions() {
		if v.Lookup("definition").Type != bson.TypeNull && !v.Lookup("temp").Boolean() {
			s.Errorf("%s is not marked as temporary", v)
		}
	}
}
