package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestChains commits transactions larger than one entry, with DDL at the beginning, while ddltail is killed. A prepared one
// remains open across the restarts.
func TestChains(t *testing.T) {
	s := newScene(t)
	p := s.begin()
	db := s.client.Database(loadDatabase + "_chains")
	s.must(db.CreateCollection(t.Context(), "documents"))
	s.ledger.Acknowledged(ledger.Effect{Operation: "CREATE_COLLECTION", NS: db.Name() + ".documents"})
	prepared := prepare(s, db)
	for i := range 2 * times() {
		committed := make(chan error, 1)
		go func() { committed <- mixedTransaction(s, fmt.Sprintf("chain%d", i), 20) }()
		s.while(50, 1500)
		s.kill(p)
		p = s.run()
		s.must(<-committed)
	}
	prepared.commit()
	s.check()
}

// preparedTransaction is a transaction that is prepared and not yet committed.
type preparedTransaction struct {
	*scene
	session *mongo.Session
	at      bson.Timestamp
}

func prepare(s *scene, db *mongo.Database) preparedTransaction {
	s.Helper()
	session, err := s.client.StartSession()
	s.must(err)
	s.must(session.StartTransaction(options.Transaction().SetWriteConcern(writeconcern.Majority())))
	ctx := mongo.NewSessionContext(s.Context(), session)
	_, err = db.Collection("documents").InsertOne(ctx, bson.D{{Key: "a", Value: 1}})
	s.must(err)
	var reply struct {
		PrepareTimestamp bson.Timestamp `bson:"prepareTimestamp"`
	}
	s.must(s.client.Database("admin").RunCommand(ctx, bson.D{{Key: "prepareTransaction", Value: 1}}).Decode(&reply))
	return preparedTransaction{scene: s, session: session, at: reply.PrepareTimestamp}
}

func (p preparedTransaction) commit() {
	p.Helper()
	ctx := mongo.NewSessionContext(p.Context(), p.session)
	p.must(p.client.Database("admin").RunCommand(ctx, bson.D{
		{Key: "commitTransaction", Value: 1}, {Key: "commitTimestamp", Value: p.at},
	}).Err())
}

// TestOutAcrossRestarts runs a slow $out, to a new collection and over an existing one, while ddltail is killed repeatedly: its
// temporary collection must never be reported.
func TestOutAcrossRestarts(t *testing.T) {
	s := newScene(t)
	p := s.begin()
	db := s.client.Database(loadDatabase + "_out")
	const documents = 40
	var docs []any
	for i := range documents {
		docs = append(docs, bson.D{{Key: "n", Value: i}})
	}
	_, err := db.Collection("from").InsertMany(t.Context(), docs)
	s.must(err)
	s.ledger.Acknowledged(ledger.Effect{Operation: "CREATE_COLLECTION", NS: db.Name() + ".from"})

	took := lasting(3*time.Second, time.Minute)
	for _, operation := range []string{"CREATE_COLLECTION", "REPLACE_COLLECTION"} {
		done := make(chan error, 1)
		go func() { done <- slowOut(s, db, took/documents) }()
		for running := true; running; {
			s.while(300, 1000)
			select {
			case err := <-done:
				s.must(err)
				running = false
			default:
				s.kill(p)
				p = s.run()
			}
		}
		s.ledger.Acknowledged(ledger.Effect{Operation: operation, NS: db.Name() + ".to"})
	}
	s.check()
}

// slowOut sleeps for each document, so that its temporary collection exists for a long time.
func slowOut(s *scene, db *mongo.Database, each time.Duration) error {
	body := fmt.Sprintf("function(n) { sleep(%d); return 'x'.repeat(1000000) }", each.Milliseconds())
	cursor, err := db.Collection("from").Aggregate(s.Context(), bson.A{
		bson.D{{Key: "$set", Value: bson.D{{Key: "slept", Value: bson.D{{Key: "$function", Value: bson.D{
			{Key: "body", Value: body}, {Key: "args", Value: bson.A{"$n"}}, {Key: "lang", Value: "js"},
		}}}}}}},
		bson.D{{Key: "$out", Value: "to"}},
	})
	if err != nil {
		return fmt.Errorf("a slow $out: %w", err)
	}
	return cursor.Close(s.Context())
}

// TestIndexBuildAcrossFailover kills the primary during an index build. The new primary completes it only after every voting member
// has built it, including the killed one.
func TestIndexBuildAcrossFailover(t *testing.T) {
	sinceFive(t)
	s := newScene(t)
	p := s.begin()
	coll := s.client.Database(loadDatabase + "_builds").Collection("large")
	ns := coll.Database().Name() + ".large"
	slow := bson.D{{Key: "a", Value: 4711}}
	_, err := coll.InsertOne(t.Context(), slow)
	s.must(err)
	s.ledger.Acknowledged(ledger.Effect{Operation: "CREATE_COLLECTION", NS: ns})

	primary := s.primary()
	failpoint(s, primary, "hangIndexBuildDuringCollectionScanPhaseBeforeInsertion", "alwaysOn", bson.E{Key: "fieldsToMatch", Value: slow})
	built := make(chan error, 1)
	go func() {
		_, err := coll.Indexes().CreateOne(t.Context(),
			mongo.IndexModel{Keys: bson.D{{Key: "a", Value: 1}}, Options: options.Index().SetName("by_a")})
		built <- err
	}()
	time.Sleep(lasting(2*time.Second, 30*time.Second))
	s.must(primary.Kill())
	s.ledger.Doubtful(<-built, ledger.Effect{Operation: "CREATE_INDEX", NS: ns, Index: "by_a"})
	s.kill(p)
	s.run()
	s.primary()
	time.Sleep(lasting(2*time.Second, 30*time.Second))
	s.restart(primary)
	waitIndex(s, coll, "by_a")
	s.check()
}

// failpoint sets a failpoint of the server on a member, until it is turned off or the member restarts.
func failpoint(s *scene, m *mongotest.Member, name, mode string, data ...bson.E) {
	s.Helper()
	client := mongotest.Connect(s.T, m.URI())
	s.must(client.Database("admin").RunCommand(s.Context(), bson.D{
		{Key: "configureFailPoint", Value: name}, {Key: "mode", Value: mode}, {Key: "data", Value: append(bson.D{}, data...)},
	}).Err())
}

// waitIndex waits until an index build is complete.
func waitIndex(s *scene, coll *mongo.Collection, name string) {
	s.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		cursor, err := coll.Database().RunCommandCursor(s.Context(),
			bson.D{{Key: "listIndexes", Value: coll.Name()}, {Key: "includeBuildUUIDs", Value: true}})
		if err != nil {
			continue // in a failover
		}
		var specs []bson.Raw
		if cursor.All(s.Context(), &specs) == nil && slices.ContainsFunc(specs, func(spec bson.Raw) bool {
			have, ok := spec.Lookup("name").StringValueOK() // the name is nested while the index is built
			return ok && have == name
		}) {
			return
		}
	}
	s.Fatalf("the index %s was never completed", name)
}
