package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/mongotest"
)

// TestChainWithoutBeginning removes the first entry of a large transaction from the
// oplog, as truncation would. The schema changes of the transaction must be reported as
// inferred.
func TestChainWithoutBeginning(t *testing.T) {
	t.Parallel()
	if major, err := mongotest.ServerMajor(t.Context()); err != nil || major < 6 {
		t.Skipf("a server of version %d does not permit to remove an oplog entry (%v)", major, err)
	}
	own := mongotest.NewReplicaSet(t, mongotest.Options{})
	s := scene{T: t, uri: own.URIOf("", "", "chain"), client: mongotest.Connect(t, own.URI())}
	s.db = s.client.Database("chain")
	p := s.start()
	s.run(bson.D{{Key: "create", Value: "documents"}})
	s.documents("schema_notifications", 1)
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.chainOf("made_within")
	s.run(bson.D{{Key: "create", Value: "made_behind"}})

	member := own.Members()[0]
	s.must(member.Shutdown(t.Context()))
	s.must(member.RestartStandalone(t.Context()))
	oplog := mongotest.Connect(t, member.URI()).Database("local").Collection("oplog.rs")
	cut, err := oplog.DeleteMany(t.Context(), bson.D{{Key: "o.partialTxn", Value: true}})
	s.must(err)
	if cut.DeletedCount == 0 {
		t.Fatal("the transaction is not a chain")
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

// chainOf creates a collection and writes slightly more than fits into one oplog entry,
// in one transaction: the cache of a 4.4 under test is small.
func (s scene) chainOf(collection string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	session, err := s.client.StartSession()
	s.must(err)
	defer session.EndSession(ctx)
	pad := strings.Repeat("x", 1<<20)
	_, err = session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
		err := s.db.RunCommand(ctx, bson.D{{Key: "create", Value: collection}}).Err()
		for range 17 {
			if err == nil {
				_, err = s.db.Collection("documents").InsertOne(ctx, document(pad))
			}
		}
		return nil, err
	})
	s.must(err)
}
