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
	own := []string{"notifications", "history", "catalog", "checkpoints"}
	s.book.Acknowledged(ledger.Effect{Operation: "DROP_DATABASE", NS: database})
	for _, name := range own {
		s.book.Acknowledged(dropOfOwn(name))
	}
	s.while(2000, 3000)
	s.check()
	for _, collection := range []string{"notifications", "history"} {
		all := s.told(collection, s.judged.UpTo)
		for _, name := range own {
			if !slices.ContainsFunc(all, func(d ledger.Document) bool { return d.Effect == dropOfOwn(name) }) {
				t.Errorf("%s does not report that schema_%s was dropped", collection, name)
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
