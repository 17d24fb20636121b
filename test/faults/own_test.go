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
	made, end := s.finish()
	for _, collection := range []string{"notifications", "history"} {
		all := s.told(collection, end)
		s.compare(collection, ledger.Within(made, dropped.TS, end), ledger.Within(all, dropped.TS, end))
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
	deleteCheckpoint(s)
	s.while(1000, 2000)
	s.run()
	made, end := s.finish()
	for _, collection := range []string{"notifications", "history"} {
		told := s.told(collection, end)
		var fromOplog, inferred []ledger.Document
		for _, d := range told {
			if d.FromOplog() {
				fromOplog = append(fromOplog, d)
			} else {
				inferred = append(inferred, d)
			}
		}
		s.Logf("%s: beside the oplog's: %v", collection, idsOf(inferred))
		s.compare(collection, made, ledger.Within(fromOplog, s.from, end))
		foldsToServer(s, told)
	}
}

// TestCheckpointDeletedAfterACut brings about what a SIGKILL leaves between two sinks, several changes in the history and not yet in the
// queue nor in the catalog, and then loses the checkpoint.
func TestCheckpointDeletedAfterACut(t *testing.T) {
	s := newScene(t)
	p := s.run()
	s.ready(p)
	s.from = s.mark("the_beginning")
	s.changes("cut").run("cut", create("one"), create("two"), create("three"))
	s.told("notifications", s.mark("before_the_cut"))
	s.stop(p)
	cut := bson.D{{Key: "ns", Value: bson.D{{Key: "$in", Value: bson.A{"cut.two", "cut.three"}}}}}
	for _, collection := range []string{"notifications", "catalog"} {
		res, err := s.client.Database(database).Collection("schema_"+collection).DeleteMany(t.Context(), cut)
		s.must(err)
		if res.DeletedCount != 2 {
			t.Fatalf("%d documents of %s are cut off", res.DeletedCount, collection)
		}
	}
	for _, collection := range []string{"notifications", "history", "catalog"} {
		_, err := s.client.Database(database).Collection("schema_"+collection).DeleteMany(t.Context(),
			bson.D{{Key: "ns", Value: bson.D{{Key: "$regex", Value: "before_the_cut"}}}})
		s.must(err)
	}
	deleteCheckpoint(s)
	s.ready(s.run())
	end := s.mark("the_end")
	queue := s.told("notifications", end)
	made := s.happened(s.from, end)
	var fromOplog []ledger.Document
	for _, d := range queue {
		if d.FromOplog() {
			fromOplog = append(fromOplog, d)
		}
	}
	s.compare("notifications", made, ledger.Within(fromOplog, s.from, end))
}

func deleteCheckpoint(s *scene) {
	s.Helper()
	res, err := s.client.Database(database).Collection("schema_checkpoints").DeleteMany(s.Context(), bson.D{})
	s.must(err)
	if res.DeletedCount == 0 {
		s.Error("there was no checkpoint to delete")
	}
}
