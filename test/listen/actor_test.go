package listen

import (
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestLateActor: a body has the actor that was found after its notification was written.
func TestLateActor(t *testing.T) {
	s := newScene(t, "late_actor")
	actor := func(user string) bson.D {
		return bson.D{{Key: "user", Value: user}, {Key: "evidence", Value: "log"}, {Key: "exact", Value: true}}
	}
	notification := func(id string, more ...bson.E) bson.D {
		return append(bson.D{{Key: "_id", Value: id}, {Key: "operation", Value: "CREATE_COLLECTION"}, {Key: "collection", Value: "c" + id},
			{Key: "timestamp", Value: seconds(time.Now())}, {Key: "processed", Value: false}, {Key: "database", Value: "x"}, {Key: "source", Value: "oplog"}}, more...)
	}
	for _, id := range []string{"rs0:0000000001:0000000001:000000", "rs0:0000000001:0000000002:000000"} {
		_, err := s.db.Collection("schema_actors").InsertOne(t.Context(), bson.D{{Key: "_id", Value: id}, {Key: "actor", Value: actor("late@admin")}})
		s.must(err)
	}
	for _, doc := range []bson.D{
		notification("rs0:0000000001:0000000001:000000"),
		notification("rs0:0000000001:0000000002:000000", bson.E{Key: "actor", Value: actor("own@admin")}),
		notification("rs0:0000000001:0000000003:000000"),
	} {
		_, err := s.queue.InsertOne(t.Context(), doc)
		s.must(err)
	}
	s.listen()
	s.eventually("all delivered", s.done)
	var bodies []string
	for _, r := range s.backend.got() {
		bodies = append(bodies, string(r.raw))
	}
	all := strings.Join(bodies, "\n")
	if strings.Count(all, `"late@admin"`) != 1 || strings.Count(all, `"own@admin"`) != 1 || strings.Count(all, `"actor"`) != 2 {
		t.Errorf("the bodies:\n%s", all)
	}
}
