package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestGap rolls the oplog over while ddltail is stopped, between changes of every kind.
// Truncated changes are reported as differences, the others from the oplog.
func TestGap(t *testing.T) {
	t.Parallel()
	small := mongotest.NewReplicaSet(t, mongotest.Options{OplogSizeMB: 16, Args: []string{"--syncdelay", "1"}})
	s := scene{T: t, uri: small.URIOf("", "", "gap"), client: mongotest.Connect(t, small.URI())}
	s.db = s.client.Database("gap")
	for _, name := range []string{"dropped", "old_name", "indexed", "modified", "replaced"} {
		s.run(bson.D{{Key: "create", Value: name}})
	}
	s.index("indexed", "dropped_idx")
	s.run(bson.D{{Key: "create", Value: "dropped_view"}, {Key: "viewOn", Value: "indexed"}, {Key: "pipeline", Value: bson.A{}}})
	p := s.start()
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	s.run(bson.D{{Key: "drop", Value: "dropped"}})
	s.run(bson.D{{Key: "drop", Value: "dropped_view"}})
	s.rename("old_name", "new_name")
	s.run(bson.D{{Key: "dropIndexes", Value: "indexed"}, {Key: "index", Value: "dropped_idx"}})
	s.index("indexed", "lost_idx")
	s.run(bson.D{{Key: "collMod", Value: "modified"}, {Key: "validator", Value: bson.D{{Key: "a", Value: 1}}}})
	s.run(bson.D{{Key: "drop", Value: "replaced"}})
	s.run(bson.D{{Key: "create", Value: "replaced"}, {Key: "capped", Value: true}, {Key: "size", Value: 4096}})
	s.run(bson.D{{Key: "create", Value: "short_lived"}})
	s.run(bson.D{{Key: "create", Value: "view"}, {Key: "viewOn", Value: "indexed"}, {Key: "pipeline", Value: bson.A{}}})
	rollOver(t, s.client)
	s.index("indexed", "held_idx")
	s.run(bson.D{{Key: "collMod", Value: "modified"}, {Key: "validator", Value: bson.D{{Key: "a", Value: 2}}}})
	s.rename("new_name", "newest_name")
	s.run(bson.D{{Key: "drop", Value: "short_lived"}})

	s.start()
	held := []string{
		"db.indexed.createIndex({held_idx: 1}, {name: 'held_idx'})",
		"db.getSiblingDB('gap').runCommand({collMod: 'modified', validator: {a: 2}})",
		"db.getSiblingDB('gap').getCollection('new_name').renameCollection('newest_name')",
		"DROP COLLECTION short_lived",
	}
	inferred := []string{
		"DROP COLLECTION dropped",
		"db.getSiblingDB('gap').getCollection('dropped_view').drop()",
		"DROP COLLECTION replaced",
		"db.getSiblingDB('gap').getCollection('indexed').dropIndex('dropped_idx')",
		"db.getSiblingDB('gap').getCollection('old_name').renameCollection('new_name')",
		"db.getSiblingDB('gap').runCommand({collMod: 'modified', validator: {a: 1}})",
		"CREATE COLLECTION replaced",
		"CREATE COLLECTION short_lived",
		"db.getSiblingDB('gap').createView('view', 'indexed', [])",
		"db.indexed.createIndex({lost_idx: 1}, {name: 'lost_idx'})",
	}
	for _, collection := range []string{"schema_notifications", "schema_history"} {
		docs := s.documents(collection, len(held)+len(inferred))
		wantStatements(t, docs, append(held, inferred...)...)
		checkInterval(t, s.gaps(collection), docs[len(docs)-len(inferred):])
	}
	s.queryGap()
}

// queryGap queries the history for the gap, and for a time within it.
func (s scene) queryGap() {
	s.Helper()
	gap := s.gaps("schema_history")[0]
	from, to := gap.Lookup("from", "wall").Time().UTC(), gap.Lookup("to", "wall").Time().UTC()
	within := from.Add(to.Sub(from) / 2).Format(time.RFC3339Nano)
	for _, question := range []struct {
		args []string
		want string
	}{
		{[]string{"history", "--since", "1h"}, "~ happened between"},
		{[]string{"history", "--as-of", within}, "this is the schema as last known before it"},
		{[]string{"history", "diff", within, to.Add(time.Second).Format(time.RFC3339Nano)}, "renamed from gap.old_name"},
		{[]string{"status"}, "gaps           1, the last from"},
	} {
		p := s.launch(question.args, "DDLTAIL_MONGODB_URI="+s.uri)
		code, err := p.Wait(s.Context())
		s.must(err)
		if code != 0 || !strings.Contains(p.Stdout(), question.want) {
			s.Errorf("%q: exit code %d, want 0 and %q in\n%s%s", question.args, code, question.want, p.Stdout(), p.Stderr())
		}
		if strings.Contains(p.Stdout(), "first listed at") {
			s.Errorf("%q takes the comparison for the first listing:\n%s", question.args, p.Stdout())
		}
	}
}

// checkInterval checks for one gap, and that all differences have its interval.
func checkInterval(t *testing.T, gaps, inferred []bson.Raw) {
	t.Helper()
	if len(gaps) != 1 {
		t.Fatalf("%d gaps, want one: %s", len(gaps), gaps)
	}
	gap := gaps[0]
	for _, doc := range inferred {
		if doc.Lookup("source").StringValue() != "snapshot" || doc.Lookup("optime").Type != 0 ||
			!doc.Lookup("not_before").Equal(gap.Lookup("from", "wall")) || !doc.Lookup("not_after").Equal(gap.Lookup("to", "wall")) ||
			!doc.Lookup("timestamp").Equal(gap.Lookup("timestamp")) {
			t.Errorf("not of the gap %s:\n%s", gap, doc)
		}
	}
}

// TestCheckpointDeleted deletes the stored checkpoint while ddltail is stopped: it
// resumes at the end of the history with a HISTORY_GAP, and reports later changes.
func TestCheckpointDeleted(t *testing.T) {
	s := newScene(t, "checkpoint_deleted")
	p := s.start()
	s.run(bson.D{{Key: "create", Value: "before"}})
	s.documents("schema_notifications", 1)
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Collection("schema_checkpoints").DeleteMany(t.Context(), bson.D{}); err != nil {
		t.Fatal(err)
	}
	s.run(bson.D{{Key: "create", Value: "after"}})
	s.start()
	wantStatements(t, s.documents("schema_notifications", 2), "CREATE COLLECTION before", "CREATE COLLECTION after")
	if gaps := s.gaps("schema_notifications"); len(gaps) != 1 {
		t.Errorf("%d gaps, want one: %s", len(gaps), gaps)
	}
}

// TestOwnCollectionsDropped drops ddltail's own collections while it runs. The drops and
// later changes must be reported, and the catalog stored again.
func TestOwnCollectionsDropped(t *testing.T) {
	s := newScene(t, "own_dropped")
	s.run(bson.D{{Key: "create", Value: "before"}, {Key: "capped", Value: true}, {Key: "size", Value: 4096}})
	p := s.start()
	s.run(bson.D{{Key: "create", Value: "first"}})
	s.documents("schema_notifications", 1)
	for _, name := range []string{"schema_notifications", "schema_history", "schema_catalog", "schema_checkpoints"} {
		s.run(bson.D{{Key: "drop", Value: name}})
	}
	s.documents("schema_history", 1)
	s.run(bson.D{{Key: "create", Value: "second"}})
	s.until("a new catalog snapshot is stored", func() bool {
		n, err := s.db.Collection("schema_catalog").CountDocuments(t.Context(), bson.D{{Key: "ns", Value: "own_dropped.before"}})
		return err == nil && n > 0
	})
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.run(bson.D{{Key: "drop", Value: "before"}})
	s.until("the last drop is reported, with what was there before", func() bool {
		docs := s.find("schema_history")
		last := docs[len(docs)-1]
		return last.Lookup("collection").StringValue() == "before" && last.Lookup("before").Type == bson.TypeEmbeddedDocument
	})
	published := map[string]bool{}
	for _, doc := range s.find("schema_history") {
		published[doc.Lookup("operation_statement").StringValue()] = true
	}
	for _, want := range []string{"DROP COLLECTION schema_history", "DROP COLLECTION schema_checkpoints", "CREATE COLLECTION second"} {
		if !published[want] {
			t.Errorf("not reported: %s", want)
		}
	}
}

// TestReconcile edits the stored catalog, as if a change were in no oplog, and restarts
// with DDLTAIL_RECONCILE=start.
func TestReconcile(t *testing.T) {
	s := newScene(t, "reconciled")
	s.run(bson.D{{Key: "create", Value: "payments"}})
	s.index("payments", "unseen_idx")
	p := s.start()
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := s.db.Collection("schema_catalog").UpdateOne(t.Context(), bson.D{{Key: "ns", Value: "reconciled.payments"}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "definition.indexes", Value: bson.A{}}}}})
	s.must(err)
	for range 2 { // the second run finds nothing new
		p := s.start("DDLTAIL_RECONCILE=start", "DDLTAIL_NAMESPACES=reconciled.*")
		docs := s.documents("schema_notifications", 1)
		wantStatements(t, docs, "db.payments.createIndex({unseen_idx: 1}, {name: 'unseen_idx'})")
		if docs[0].Lookup("source").StringValue() != "snapshot" || docs[0].Lookup("not_before").Type != bson.TypeDateTime {
			t.Errorf("not reported as inferred: %s", docs[0])
		}
		s.until("a comparison is recorded", func() bool {
			return s.db.Collection("schema_checkpoints").FindOne(t.Context(), bson.D{{Key: "compared", Value: bson.D{{Key: "$exists", Value: true}}}}).Err() == nil
		})
		if _, err := p.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if gaps := s.gaps("schema_notifications"); len(gaps) != 0 {
		t.Errorf("a comparison is no gap: %s", gaps)
	}
}

// TestTwoSetsOfOneName uses one sink for two sets with the same name: the second is
// refused.
func TestTwoSetsOfOneName(t *testing.T) {
	t.Parallel()
	sink := "DDLTAIL_SINK_URI=" + mongotest.NewStandalone(t, mongotest.Options{}).URI()
	first := mongotest.NewReplicaSet(t, mongotest.Options{})
	p := launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+first.URI(), sink)
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := mongotest.NewReplicaSet(t, mongotest.Options{})
	wantExit(t, launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+second.URI(), sink), 2, "another replica set of the same name", "DDLTAIL_SOURCE")

	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The checkpoint no longer advances: the set counts as recreated.
	client := mongotest.Connect(t, second.URI())
	if err := client.Database("anew").CreateCollection(t.Context(), "payments"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p = launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+second.URI(), sink)
	replica := launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+second.URI(), sink)
	for _, p := range []*ddltailtest.Process{p, replica} {
		if err := p.WaitReady(ctx); err != nil {
			t.Fatal(err)
		}
	}
	history := mongotest.Connect(t, strings.TrimPrefix(sink, "DDLTAIL_SINK_URI=")).Database("ddltail").Collection("schema_history")
	if n, err := history.CountDocuments(ctx, bson.D{{Key: "operation", Value: "HISTORY_GAP"}}); err != nil || n != 1 {
		t.Errorf("%v gaps, want one (%v)", n, err)
	}
}

func (s scene) index(collection, name string) {
	s.Helper()
	_, err := s.db.Collection(collection).Indexes().CreateOne(s.Context(),
		mongo.IndexModel{Keys: bson.D{{Key: name, Value: 1}}, Options: options.Index().SetName(name)})
	s.must(err)
}

func (s scene) rename(from, to string) {
	s.Helper()
	s.renameWith(from, to)
}

// gaps returns the HISTORY_GAP documents of a collection.
func (s scene) gaps(collection string) []bson.Raw {
	s.Helper()
	cur, err := s.db.Collection(collection).Find(s.Context(), bson.D{{Key: "operation", Value: "HISTORY_GAP"}})
	s.must(err)
	var docs []bson.Raw
	s.must(cur.All(s.Context(), &docs))
	return docs
}
