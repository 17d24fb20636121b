package e2e

import (
	"context"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/mongotest"
)

// TestChainWithoutBeginning takes the first entry of a large transaction out of the
// oplog, as truncation would. What the transaction did to the schema is told by the
// difference that it made.
func TestChainWithoutBeginning(t *testing.T) {
	t.Parallel()
	own := mongotest.NewReplicaSet(t, mongotest.Options{})
	s := scene{T: t, uri: own.URIOf("", "", "chain"), client: mongotest.Connect(t, own.URI())}
	s.db = s.client.Database("chain")
	p := s.start()
	s.run(bson.D{{Key: "create", Value: "documents"}})
	s.documents("schema_notifications", 1)
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.largeTransaction("made_within")
	s.run(bson.D{{Key: "create", Value: "made_behind"}})

	member := own.Members()[0]
	s.must(member.Shutdown(t.Context()))
	s.must(member.RestartStandalone(t.Context()))
	oplog := mongotest.Connect(t, member.URI()).Database("local").Collection("oplog.rs")
	cut, err := oplog.DeleteMany(t.Context(), bson.D{{Key: "o.partialTxn", Value: true}})
	s.must(err)
	if cut.DeletedCount == 0 {
		t.Fatal("the transaction was no chain")
	}
	s.must(member.Shutdown(t.Context()))
	s.must(member.Restart(t.Context()))
	_, err = own.WaitPrimary(t.Context())
	s.must(err)

	s.start()
	wantStatements(t, s.documents("schema_notifications", 3),
		"CREATE COLLECTION documents", "CREATE COLLECTION made_behind", "CREATE COLLECTION made_within")
	if gaps := s.gaps("schema_notifications"); len(gaps) != 1 {
		t.Errorf("%d gaps, want one: %s", len(gaps), gaps)
	}
}

// largeTransaction makes a collection and writes more than one oplog entry can hold.
func (s scene) largeTransaction(collection string) {
	s.Helper()
	session, err := s.client.StartSession()
	s.must(err)
	defer session.EndSession(context.Background())
	_, err = session.WithTransaction(s.Context(), func(ctx context.Context) (any, error) {
		if err := s.db.RunCommand(ctx, bson.D{{Key: "create", Value: collection}}).Err(); err != nil {
			return nil, err
		}
		pad := strings.Repeat("x", 6<<20)
		for range 4 {
			if _, err := s.db.Collection("documents").InsertOne(ctx, document(pad)); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	s.must(err)
}
