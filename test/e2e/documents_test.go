package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// TestDocuments makes changes in the database of the notifications, and compares the six
// fields that existing consumers read by name, order, type and value.
func TestDocuments(t *testing.T) {
	s := newScene(t, "banking_db")
	s.start()
	before := time.Now()

	s.must(s.db.CreateCollection(t.Context(), "payments"))
	s.must(s.db.CreateCollection(t.Context(), "transactions"))
	createIndex(s, "transactions", "amount_idx")
	_, err := s.db.Collection("accounts").InsertOne(t.Context(), bson.D{{Key: "amount", Value: 1}})
	s.must(err)
	createIndex(s, "accounts", "amount_idx")
	s.must(s.db.Collection("payments").Drop(t.Context()))

	want := [][4]string{
		{"CREATE_COLLECTION", "payments", "", "CREATE COLLECTION payments"},
		{"CREATE_COLLECTION", "transactions", "", "CREATE COLLECTION transactions"},
		{"CREATE_INDEX", "transactions", "amount_idx", "db.transactions.createIndex({amount: 1}, {name: 'amount_idx'})"},
		{"CREATE_COLLECTION", "accounts", "", "CREATE COLLECTION accounts"},
		{"CREATE_INDEX", "accounts", "amount_idx", "db.accounts.createIndex({amount: 1}, {name: 'amount_idx'})"},
		{"DROP_COLLECTION", "payments", "", "DROP COLLECTION payments"},
	}
	docs := s.documents("schema_notifications", len(want))
	if len(docs) != len(want) {
		t.Fatalf("got %q", statements(docs))
	}
	for i, doc := range docs {
		checkSixFields(t, doc, want[i], before)
	}
	checkHistory(t, docs, s.documents("schema_history", len(want)))
}

func createIndex(s scene, coll, name string) {
	s.Helper()
	_, err := s.db.Collection(coll).Indexes().CreateOne(s.Context(), mongo.IndexModel{
		Keys: bson.D{{Key: "amount", Value: 1}}, Options: options.Index().SetName(name),
	})
	s.must(err)
}

func checkSixFields(t *testing.T, doc bson.Raw, want [4]string, before time.Time) {
	t.Helper()
	for i, field := range []string{"operation", "collection", "index_name", "operation_statement"} {
		v, err := doc.LookupErr(field)
		if want[i] == "" {
			if err == nil {
				t.Errorf("%s: has a field %s", doc, field)
			}
			continue
		}
		if got, ok := v.StringValueOK(); !ok || got != want[i] {
			t.Errorf("%s: %s is %s, want the string %q", doc, field, v, want[i])
		}
	}
	seconds, ok := doc.Lookup("timestamp").DoubleOK()
	if at := time.UnixMilli(int64(seconds * 1000)); !ok || at.Before(before.Add(-time.Second)) || at.After(time.Now()) {
		t.Errorf("%s: timestamp is %s, want a double between %s and now", doc, doc.Lookup("timestamp"), before)
	}
	if done, ok := doc.Lookup("processed").BooleanOK(); !ok || done {
		t.Errorf("%s: processed is %s, want false", doc, doc.Lookup("processed"))
	}
}

// checkHistory checks that the history has the same documents without "processed".
func checkHistory(t *testing.T, queue, history []bson.Raw) {
	t.Helper()
	if len(queue) != len(history) {
		t.Fatalf("%d documents in the queue, %d in the history", len(queue), len(history))
	}
	for i := range queue {
		var q, h bson.D
		if err := bson.Unmarshal(queue[i], &q); err != nil {
			t.Fatal(err)
		}
		if err := bson.Unmarshal(history[i], &h); err != nil {
			t.Fatal(err)
		}
		var rest bson.D
		for _, e := range q {
			if e.Key != "processed" {
				rest = append(rest, e)
			}
		}
		want, _ := bson.MarshalExtJSON(rest, true, false)
		got, _ := bson.MarshalExtJSON(h, true, false)
		if string(got) != string(want) {
			t.Errorf("history holds\n%s\nwant\n%s", got, want)
		}
	}
}

// TestOwnCollections checks that ddltail's own collections are not reported, and others
// in their database are.
func TestOwnCollections(t *testing.T) {
	s := newScene(t, "own_db")
	s.start()
	s.must(s.db.CreateCollection(t.Context(), "schema_notifications_archive"))
	createIndex(s, "schema_notifications", "theirs")
	s.must(s.db.CreateCollection(t.Context(), "last"))
	wantStatements(t, s.documents("schema_notifications", 2),
		"CREATE COLLECTION schema_notifications_archive", "CREATE COLLECTION last")
}

// TestStreams checks that stdout and file get the queue's documents, one per line, and
// that filters apply to them and the queue, but not to the history.
func TestStreams(t *testing.T) {
	s := newScene(t, "streams_db")
	path := filepath.Join(t.TempDir(), "changes.ndjson")
	s.must(os.WriteFile(path, []byte("{\"_id\":\"whole\"}\n{\"_id\":\"to"), 0o640))
	p := s.start("DDLTAIL_SINKS=mongodb,stdout,file:"+path, "DDLTAIL_NAMESPACES=streams_db.*",
		"DDLTAIL_EXCLUDE_NAMESPACES=*.secret_*")
	s.must(s.db.CreateCollection(t.Context(), "secret_plan"))
	s.must(s.db.CreateCollection(t.Context(), "'); db.dropDatabase(); //"))
	s.must(s.db.CreateCollection(t.Context(), "last"))

	queue := s.documents("schema_notifications", 2)
	wantStatements(t, queue, `CREATE COLLECTION "'); db.dropDatabase(); //"`, "CREATE COLLECTION last")
	if n := len(s.documents("schema_history", 3)); n != 3 {
		t.Errorf("%d documents in the history, want 3", n)
	}
	second := s.launch([]string{"run"}, "DDLTAIL_MONGODB_URI="+s.uri, "DDLTAIL_NAME=second", "DDLTAIL_SINKS=file:"+path)
	wantExit(t, second, 2, "another process writes to the file")
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	s.must(err)
	lines, ok := strings.CutPrefix(string(file), "{\"_id\":\"whole\"}\n")
	if !ok || lines != p.Stdout() {
		t.Errorf("the file holds\n%s\nstdout is\n%s", file, p.Stdout())
	}
	checkLines(t, p.Stdout(), queue)
}

func checkLines(t *testing.T, lines string, queue []bson.Raw) {
	t.Helper()
	i := 0
	for line := range strings.Lines(lines) {
		var doc struct {
			ID        string `json:"_id"`
			Statement string `json:"operation_statement"`
		}
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if i >= len(queue) || doc.ID != queue[i].Lookup("_id").StringValue() {
			t.Errorf("line %d is %s", i, line)
		}
		i++
	}
	if i != len(queue) {
		t.Errorf("%d lines, want %d", i, len(queue))
	}
}
