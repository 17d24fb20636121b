package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/mongotest"
)

// cutOffChanges is the number of changes made on a primary without a majority, before it
// steps down.
const cutOffChanges = 10

// TestRollback runs DDL on a primary without a majority, kills it, and restarts it after the others have elected another: that DDL
// must not be published. The secondaries are alternately killed, which the primary notices, or paused.
func TestRollback(t *testing.T) {
	s := newScene(t)
	s.begin()
	for i := range max(1, times()/2) {
		cutOff := rollBack(s, i, i%2 == 0)
		s.recovered()
		s.Logf("round %d: %d changes without a majority, %d not rolled back", i, len(cutOff), len(notRolledBack(s, cutOff)))
	}
	s.check()
}

// rollBack makes changes that are acknowledged by a primary and then roll back, and
// returns their effects.
func rollBack(s *scene, round int, pause bool) []ledger.Effect {
	s.Helper()
	primary := s.primary()
	var secondaries []*mongotest.Member
	for _, m := range s.set.Members() {
		if m != primary {
			secondaries = append(secondaries, m)
		}
	}
	client := mongotest.Connect(s.T, primary.URI())
	s.must(client.Ping(s.Context(), nil))
	for _, m := range secondaries {
		if pause {
			s.must(m.Pause())
		} else {
			s.must(m.Kill())
		}
	}
	cutOff := changeAlone(s, client, round)
	if len(cutOff) == 0 {
		s.Error("the primary accepted no change without a majority: nothing can roll back")
	}
	s.must(primary.Kill())
	for _, m := range secondaries {
		s.must(m.Kill()) // a paused member would still read what is in its sockets
		s.restart(m)
	}
	s.primary()
	s.while(500, 1500)
	s.restart(primary)
	return cutOff
}

// changeAlone makes changes that only one member acknowledges.
func changeAlone(s *scene, client *mongo.Client, round int) []ledger.Effect {
	ctx, cancel := context.WithTimeout(s.Context(), 5*time.Second)
	defer cancel()
	one := bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: 1}}}
	db := client.Database(loadDatabase + "_cut_off")
	var made []ledger.Effect
	for i := range cutOffChanges {
		name := fmt.Sprintf("r%d_%d", round, i)
		effects := []ledger.Effect{
			{Operation: "CREATE_COLLECTION", NS: db.Name() + "." + name},
			{Operation: "CREATE_INDEX", NS: db.Name() + "." + name, Index: "by_a"},
		}
		err := db.RunCommand(ctx, bson.D{{Key: "createIndexes", Value: name}, {Key: "indexes", Value: bson.A{
			bson.D{{Key: "key", Value: bson.D{{Key: "a", Value: 1}}}, {Key: "name", Value: "by_a"}},
		}}, one}).Err()
		s.ledger.Doubtful(fmt.Errorf("acknowledged by the primary alone: %w", err), effects...)
		if err != nil {
			return made
		}
		made = append(made, effects...)
	}
	return made
}

// standing are those that are there after all.
func notRolledBack(s *scene, effects []ledger.Effect) []string {
	s.Helper()
	names, err := s.client.Database(loadDatabase+"_cut_off").ListCollectionNames(s.Context(), bson.D{})
	s.must(err)
	var there []string
	for _, e := range effects {
		for _, name := range names {
			if e.Operation == "CREATE_COLLECTION" && e.NS == loadDatabase+"_cut_off."+name {
				there = append(there, name)
			}
		}
	}
	if len(there) > 0 {
		s.Errorf("%v did not roll back", there)
	}
	return there
}
