package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// TestOwnCollectionsArchived renames ddltail's own collections away one after the other, and the queue back, while `run` and
// `listen` run: each is reported, watched under its new name, and recreated.
func TestOwnCollectionsArchived(t *testing.T) {
	s := newScene(t, "own_archived")
	detector := s.start()
	listener := s.launch([]string{"listen", "--stdout"}, "DDLTAIL_MONGODB_URI="+s.uri)
	s.wantDelivered(listener.Stdout, "before")
	for _, own := range []string{"schema_notifications", "schema_history", "schema_catalog", "schema_checkpoints"} {
		archive := own + "_2026_11"
		s.rename(own, archive)
		s.wantQueued("RENAME_COLLECTION", own)
		s.wantDefinition(archive)
		s.index(archive, "later_idx")
		s.wantQueued("CREATE_INDEX", archive)
		s.wantDelivered(listener.Stdout, "after_"+own)
	}
	for own, indexes := range map[string][]string{
		"schema_notifications": {"_id_", "processed_1", "timestamp_1"}, "schema_history": {"_id_"}, "schema_catalog": {"_id_"},
		"schema_checkpoints": {"_id_"},
	} {
		s.wantIndexes(own, indexes...)
	}
	// The documents of the new queue are dropped; the archive is the queue again, with its
	// unprocessed documents.
	s.renameWith("schema_notifications_2026_11", "schema_notifications", "dropTarget")
	s.wantQueued("RENAME_COLLECTION", "schema_notifications_2026_11")
	s.wantQueued("DROP_COLLECTION", "schema_notifications")
	s.wantDelivered(listener.Stdout, "after_all")
	s.must(detector.Kill())
	s.rename("schema_notifications", "while_down")
	s.rename("schema_catalog", "catalog_while_down")
	s.index("while_down", "while_down_idx")
	s.start()
	s.wantQueued("RENAME_COLLECTION", "schema_notifications")
	s.wantQueued("RENAME_COLLECTION", "schema_catalog")
	s.wantQueued("CREATE_INDEX", "while_down")
	s.wantDefinition("while_down")
	s.wantDefinition("catalog_while_down")
	s.wantDelivered(listener.Stdout, "after_the_restart")
	s.wantHealthy()
}

// TestOwnCollectionsComeAndGo renames each own collection away, back over the new one, replaces it by $out, and drops it, while
// `run` and `listen` run: changes made meanwhile are reported and delivered once, and a comparison finds no difference.
func TestOwnCollectionsComeAndGo(t *testing.T) {
	s := newScene(t, "own_come_and_go")
	detector := s.start("DDLTAIL_ACTOR=getlog", "DDLTAIL_ACTOR_WAIT=0")
	listener := s.launch([]string{"listen", "--stdout"}, "DDLTAIL_MONGODB_URI="+s.uri)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("unprocessed: %s", s.unprocessed())
		}
	})
	made := []string{"first_of_come_and_go"} // detectors of other tests report it too
	s.wantDelivered(listener.Stdout, made[0])
	for _, own := range []string{"schema_notifications", "schema_history", "schema_catalog", "schema_checkpoints", "schema_actors"} {
		for step, change := range []func(){
			func() { s.rename(own, own+"_old") },
			func() { s.renameWith(own+"_old", own, "dropTarget") },
			func() { s.out("nothing", own) },
			func() { s.run(bson.D{{Key: "drop", Value: own}}) },
		} {
			s.until(own+" exists", func() bool {
				names, err := s.db.ListCollectionNames(t.Context(), bson.D{{Key: "name", Value: own}})
				return err == nil && len(names) == 1
			})
			s.until("all is marked as processed", func() bool {
				n, err := s.db.Collection("schema_notifications").CountDocuments(t.Context(), bson.D{{Key: "processed", Value: false}})
				return err == nil && n == 0
			})
			change()
			made = append(made, fmt.Sprintf("come_and_go_%d_of_%s", step, own))
			s.wantDelivered(listener.Stdout, made[len(made)-1])
		}
	}
	// The last drop is in another partition than the creation after it, and can be delivered later.
	s.until("three drops of each of five collections are delivered", func() bool {
		return strings.Count(listener.Stdout(), `"operation":"DROP_COLLECTION"`) >= 15
	})
	for _, name := range made {
		if n := strings.Count(listener.Stdout(), `"CREATE COLLECTION `+name+`"`); n != 1 {
			t.Errorf("the creation of %s is delivered %d times", name, n)
		}
	}
	if code, err := detector.Stop(t.Context()); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v", code, err)
	}
	p := s.start("DDLTAIL_RECONCILE=start")
	s.until("the catalog is compared", func() bool { return strings.Contains(p.Stderr(), "catalog matches the server's") })
	s.wantHealthy()
}

// unprocessed returns the notifications that are not processed, with what the listener has noted.
func (s scene) unprocessed() []bson.Raw {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), 10*time.Second)
	defer cancel()
	var docs []bson.Raw
	cur, err := s.db.Collection("schema_notifications").Find(ctx, bson.D{{Key: "processed", Value: false}})
	if err == nil {
		err = cur.All(ctx, &docs)
	}
	if err != nil {
		s.Logf("read the queue: %v", err)
	}
	return docs
}

// TestCollectionsMovedAside makes the server rename users' collections that are in the way of an applyOps, and renames ordinary
// ones with stayTemp and to names that the server generates: each rename is tracked, and a comparison finds no difference.
func TestCollectionsMovedAside(t *testing.T) {
	s := newScene(t, "moved_aside")
	p := s.start("DDLTAIL_RECONCILE=1s")
	s.run(bson.D{{Key: "create", Value: "orders"}, {Key: "validator", Value: bson.D{{Key: "x", Value: 1}}}})
	s.index("orders", "a_idx")
	s.run(bson.D{{Key: "applyOps", Value: bson.A{bson.D{
		{Key: "op", Value: "c"}, {Key: "ns", Value: s.db.Name() + ".$cmd"},
		{Key: "ui", Value: bson.Binary{Subtype: 4, Data: []byte("\x01\x02\x03\x04\x05\x06\x47\x08\x89\x0a\x0b\x0c\x0d\x0e\x0f\x10")}},
		{Key: "o", Value: bson.D{{Key: "create", Value: "orders"}}},
	}}}})
	aside, err := s.db.ListCollectionNames(t.Context(), bson.D{{Key: "name", Value: bson.Regex{Pattern: `^tmp.{5}\.create$`}}})
	if err != nil || len(aside) != 1 {
		t.Fatalf("moved aside are %q: %v", aside, err)
	}
	s.index(aside[0], "b_idx")
	s.renameWith("orders", "orders_2025", "stayTemp")
	s.index("orders_2025", "c_idx")
	const generated = "tmp.agg_out.11111111-2222-3333-4444-555555555555"
	s.rename("orders_2025", generated)
	got := statements(s.documents("schema_notifications", 8))
	want := []string{
		"CREATE COLLECTION orders", "db.orders.createIndex({a_idx: 1}, {name: 'a_idx'})",
		"db.getSiblingDB('moved_aside').getCollection('orders').renameCollection('" + aside[0] + "')",
		"CREATE COLLECTION orders",
		"db.getCollection('" + aside[0] + "').createIndex({b_idx: 1}, {name: 'b_idx'})",
		"db.getSiblingDB('moved_aside').getCollection('orders').renameCollection('orders_2025')",
		"db.orders_2025.createIndex({c_idx: 1}, {name: 'c_idx'})",
		"db.getSiblingDB('moved_aside').getCollection('orders_2025').renameCollection('" + generated + "')",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if v := s.wantDefinition(aside[0]); v.Lookup("temp").Boolean() || v.Lookup("definition", "options", "validator").Type == 0 {
		t.Errorf("the catalog has %s", v)
	}
	matches := strings.Count(p.Stderr(), "catalog matches the server's")
	s.until("the catalog is compared again", func() bool { return strings.Count(p.Stderr(), "catalog matches the server's") > matches })
	if n := len(s.find("schema_notifications")); n != len(want) {
		t.Errorf("%d notifications, want %d", n, len(want))
	}
	s.wantHealthy()
}

// out replaces a collection by the documents of another one.
func (s scene) out(from, to string) {
	s.Helper()
	s.run(bson.D{{Key: "aggregate", Value: from}, {Key: "pipeline", Value: bson.A{bson.D{{Key: "$out", Value: to}}}}, {Key: "cursor", Value: bson.D{}}})
}

// renameWith renames with further options of the command. The server refuses that while an index of the collection is built.
func (s scene) renameWith(from, to string, options ...string) {
	s.Helper()
	cmd := bson.D{{Key: "renameCollection", Value: s.db.Name() + "." + from}, {Key: "to", Value: s.db.Name() + "." + to}}
	for _, option := range options {
		cmd = append(cmd, bson.E{Key: option, Value: true})
	}
	s.until("no index of "+from+" is built", func() bool {
		err := s.client.Database("admin").RunCommand(s.Context(), cmd).Err()
		var se mongo.ServerError
		if errors.As(err, &se) && se.HasErrorCode(12587) { // BackgroundOperationInProgressForNamespace
			return false
		}
		s.must(err)
		return true
	})
}

// wantQueued waits for a notification in the current queue.
func (s scene) wantQueued(operation, collection string) {
	s.Helper()
	s.until("the queue holds "+operation+" of "+collection, func() bool {
		return slices.ContainsFunc(s.find("schema_notifications"), func(doc bson.Raw) bool {
			return doc.Lookup("operation").StringValue() == operation && doc.Lookup("collection").StringValue() == collection
		})
	})
}

// wantDefinition waits for the definition of a collection in the catalog, with an index.
func (s scene) wantDefinition(collection string) bson.Raw {
	s.Helper()
	var newest bson.Raw
	s.until("the catalog holds "+collection, func() bool {
		versions := s.versions(bson.D{{Key: "collection", Value: collection}})
		if len(versions) > 0 {
			newest = versions[len(versions)-1]
		}
		return len(versions) > 0 && newest.Lookup("definition").Type == bson.TypeEmbeddedDocument
	})
	return newest
}

// wantDelivered creates a collection and waits until the listener has delivered its notification.
func (s scene) wantDelivered(stdout func() string, collection string) {
	s.Helper()
	s.run(bson.D{{Key: "create", Value: collection}})
	s.until("the creation of "+collection+" is delivered", func() bool {
		return strings.Contains(stdout(), `"CREATE COLLECTION `+collection+`"`)
	})
}

// wantIndexes waits until a collection has at least these indexes.
func (s scene) wantIndexes(collection string, want ...string) {
	s.Helper()
	s.until(collection+" has its indexes", func() bool {
		specs, err := s.db.Collection(collection).Indexes().ListSpecifications(s.Context())
		s.must(err)
		return !slices.ContainsFunc(want, func(name string) bool { return !hasIndex(specs, name) })
	})
}

func hasIndex(specs []mongo.IndexSpecification, name string) bool {
	return slices.ContainsFunc(specs, func(spec mongo.IndexSpecification) bool { return spec.Name == name })
}

// wantHealthy waits until `ddltail status` exits 0.
func (s scene) wantHealthy() {
	s.Helper()
	var out string
	for end := time.Now().Add(time.Minute); ; {
		p := s.launch([]string{"status"}, "DDLTAIL_MONGODB_URI="+s.uri)
		code, err := p.Wait(s.Context())
		s.must(err)
		if out = p.Stdout(); code == 0 {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("status is not healthy:\n%s", out)
		}
	}
}
