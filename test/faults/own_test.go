package faults

import (
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/faults/ledger"
)

// TestOwnDatabaseDropped drops the database with ddltail's collections under load: no later change may be lost.
func TestOwnDatabaseDropped(t *testing.T) {
	s := newScene(t)
	s.begin()
	s.while(1500, 2500)
	s.must(s.client.Database(database).Drop(t.Context()))
	own := []string{"notifications", "history", "catalog", "checkpoints"}
	s.ledger.Acknowledged(ledger.Effect{Operation: "DROP_DATABASE", NS: database})
	for _, name := range own {
		s.ledger.Acknowledged(dropOfOwn(name))
	}
	s.while(2000, 3000)
	s.check()
	for _, collection := range []string{"notifications", "history"} {
		all := s.published(collection, s.judged.UpTo)
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

// TestCheckpointDeletedWhileStopped deletes the checkpoint document while ddltail is stopped and changes continue. Because history
// exists, ddltail must not start at the current time as at a first run.
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
