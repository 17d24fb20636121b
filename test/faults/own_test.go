package faults

import (
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/faults/ledger"
)

// TestOwnDatabaseDropped drops the whole database that holds ddltail's collections while it runs under load: what was stored is gone,
// nothing after is lost.
func TestOwnDatabaseDropped(t *testing.T) {
	s := newScene(t)
	s.begin()
	s.while(1500, 2500)
	s.must(s.client.Database(database).Drop(t.Context()))
	dropped := dropOf(s, "schema_checkpoints") // the last of the drops may be another's; from here on all is to be there
	for _, name := range []string{"notifications", "history", "catalog"} {
		if d := dropOf(s, "schema_"+name); d.TS.After(dropped.TS) {
			dropped = d
		}
	}
	s.while(2000, 3000)
	s.book.Acknowledged(ledger.Effect{Operation: "DROP_DATABASE", NS: database})
	s.check()
	for _, collection := range []string{"notifications", "history"} {
		all := s.told(collection, dropped.TS)
		for _, own := range []string{"notifications", "history", "catalog", "checkpoints"} {
			if !slices.ContainsFunc(all, func(d ledger.Document) bool {
				return d.Effect == ledger.Effect{Operation: "DROP_COLLECTION", NS: database + ".schema_" + own}
			}) {
				t.Errorf("%s does not tell that schema_%s was dropped", collection, own)
			}
		}
	}
}

// TestCheckpointDeletedWhileRunning deletes the checkpoint document under load.
func TestCheckpointDeletedWhileRunning(t *testing.T) {
	s := newScene(t)
	p := s.begin()
	s.lost = ledger.Position
	s.while(1000, 2000)
	deleteCheckpoint(s)
	s.while(1000, 2000)
	deleteCheckpoint(s)
	s.while(10, 100)
	s.kill(p)
	s.run()
	s.while(500, 1000)
	s.check()
}

// TestCheckpointDeletedWhileStopped deletes the checkpoint document while ddltail is down and changes go on. There is history: it must
// not begin from now as if there were none.
func TestCheckpointDeletedWhileStopped(t *testing.T) {
	s := newScene(t)
	p := s.begin()
	s.while(2000, 3000)
	s.kill(p)
	s.lost = ledger.Position
	deleteCheckpoint(s)
	s.while(1000, 2000)
	s.run()
	s.check()
}

func deleteCheckpoint(s *scene) {
	s.Helper()
	res, err := s.client.Database(database).Collection("schema_checkpoints").DeleteMany(s.Context(), bson.D{})
	s.must(err)
	if res.DeletedCount == 0 {
		s.Error("there was no checkpoint to delete")
	}
}
