package e2e

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/mongotest"
)

// secret is in every document of the load, and must not be in a notification.
const secret = "a user's own words"

// TestTransactionsUnderLoad runs transactions of documents (committed, aborted, larger
// than one entry) and bulk writes; only DDL may be reported.
func TestTransactionsUnderLoad(t *testing.T) {
	s := newScene(t, "load_db")
	p := s.start("DDLTAIL_SINKS=mongodb,stdout")
	s.must(s.db.CreateCollection(t.Context(), "docs"))
	s.must(s.db.CreateCollection(t.Context(), "bulk"))
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { bulkWrites(s) })
		wg.Go(func() { transactions(s) })
	}
	wg.Wait()
	largeTransaction(s)
	s.must(s.db.CreateCollection(t.Context(), "last"))

	docs := s.documents("schema_notifications", 3)
	wantStatements(t, docs, "CREATE COLLECTION docs", "CREATE COLLECTION bulk", "CREATE COLLECTION last")
	for _, d := range docs {
		if bytes.Contains(d, []byte(secret)) {
			t.Errorf("a notification holds a user's document: %s", d)
		}
	}
	if strings.Contains(p.Stdout()+p.Stderr(), secret) {
		t.Error("stdout or the log holds a user's document")
	}
	if n := metric(s, p, "ddltail_unknown_commands_total"); n != 0 {
		t.Errorf("%v unknown commands", n)
	}
}

func document(pad string) bson.D {
	return bson.D{{Key: "words", Value: secret}, {Key: "pad", Value: pad}}
}

func bulkWrites(s scene) {
	coll := s.db.Collection("bulk")
	for range 40 {
		docs := make([]any, 50)
		for i := range docs {
			docs[i] = document("")
		}
		if _, err := coll.InsertMany(s.Context(), docs); err != nil {
			s.Error(err)
		}
		if _, err := coll.UpdateMany(s.Context(), bson.D{}, bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}); err != nil {
			s.Error(err)
		}
		if _, err := coll.DeleteMany(s.Context(), bson.D{}); err != nil {
			s.Error(err)
		}
	}
}

var errChangedMind = errors.New("aborted by the client")

func transactions(s scene) {
	for i := range 60 {
		err := inTransaction(s, func(ctx context.Context, coll *mongo.Collection) error {
			for range 5 {
				if _, err := coll.InsertOne(ctx, document("")); err != nil {
					return err
				}
			}
			if i%3 == 0 {
				return errChangedMind
			}
			return nil
		})
		if err != nil && !errors.Is(err, errChangedMind) {
			s.Error(err)
		}
	}
}

// largeTransaction writes more than the 16 MB that one oplog entry can hold, and
// less than would fill the small cache of a 4.4 under test.
func largeTransaction(s scene) {
	s.must(inTransaction(s, func(ctx context.Context, coll *mongo.Collection) error {
		pad := strings.Repeat("x", 1<<20)
		for range 17 {
			if _, err := coll.InsertOne(ctx, document(pad)); err != nil {
				return err
			}
		}
		return nil
	}))
}

func inTransaction(s scene, work func(context.Context, *mongo.Collection) error) error {
	session, err := s.client.StartSession()
	if err != nil {
		return err
	}
	defer session.EndSession(s.Context())
	_, err = session.WithTransaction(s.Context(), func(ctx context.Context) (any, error) {
		return nil, work(ctx, s.db.Collection("docs"))
	})
	return err
}

// TestQuietSet observes an idle set: the checkpoint advances with the server's periodic
// no-op, at most once in 10 s, and ddltail's own writes do not advance it.
func TestQuietSet(t *testing.T) {
	t.Parallel()
	quiet := mongotest.NewReplicaSet(t, mongotest.Options{})
	p := launch(t, []string{"run"}, "DDLTAIL_MONGODB_URI="+quiet.URI())
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	const watched = 35 * time.Second
	client := mongotest.Connect(t, quiet.URI())
	saved := map[int64]bson.Timestamp{}
	for end := time.Now().Add(watched); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		doc, err := client.Database("ddltail").Collection("schema_checkpoints").FindOne(t.Context(), bson.D{}).Raw()
		if err != nil {
			t.Fatal(err)
		}
		ts, i := doc.Lookup("optime", "ts").Timestamp()
		saved[doc.Lookup("saved_at").DateTime()] = bson.Timestamp{T: ts, I: i}
	}
	writes, err := client.Database("local").Collection("oplog.rs").CountDocuments(t.Context(),
		bson.D{{Key: "ns", Value: "ddltail.schema_checkpoints"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("in %s: %d checkpoints, %d writes", watched, len(saved), writes)
	if len(saved) < 2 || len(saved) > 1+int(watched/(10*time.Second)) {
		t.Errorf("%d checkpoints in %s, want the first and one or more, at most one in 10 s", len(saved), watched)
	}
	// One more write records the catalog snapshot, another one the set's members.
	if writes > int64(len(saved))+2 {
		t.Errorf("%d writes for %d checkpoints", writes, len(saved))
	}
}

// rollOver writes until the oldest entry of the oplog has changed. The server does not
// truncate entries that its last checkpoint on disk needs: --syncdelay makes checkpoints
// more frequent.
func rollOver(t *testing.T, client *mongo.Client) {
	t.Helper()
	oplog := client.Database("local").Collection("oplog.rs")
	oldest := func() string {
		const cappedPositionLost = 136 // the entry was truncated while it was read
		for {
			doc, err := oplog.FindOne(t.Context(), bson.D{}, options.FindOne().SetSort(bson.D{{Key: "$natural", Value: 1}})).Raw()
			var refused mongo.ServerError
			if errors.As(err, &refused) && refused.HasErrorCode(cappedPositionLost) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			return doc.Lookup("ts").String()
		}
	}
	first := oldest()
	pad := strings.Repeat("x", 1<<20)
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if _, err := client.Database("filler").Collection("docs").InsertOne(t.Context(), document(pad)); err != nil {
			t.Fatal(err)
		}
		if oldest() != first {
			return
		}
	}
	t.Fatal("the oplog did not roll over")
}
