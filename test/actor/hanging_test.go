package actor_test

import (
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/mongotest"
)

// TestMemberHangs reads the primary's log with getLog while another member does not respond, and
// while a change has no actor, which the other members' logs are read for.
func TestMemberHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mongotest.Options{Members: 3})
	p := w.run("audit", "DDLTAIL_ACTOR=getlog")
	ann, bob := w.connect(0), w.connect(1)
	defer func() { _, _ = ann.Disconnect(t.Context()), bob.Disconnect(t.Context()) }()
	w.must(ann.Database("of_0_0").CreateCollection(t.Context(), "of_0_0"))
	w.settled(p, "audit")
	primary, err := w.set.Primary(t.Context())
	w.must(err)
	hanging := w.set.Members()[0]
	if hanging == primary {
		hanging = w.set.Members()[1]
	}
	w.must(hanging.Pause())
	defer func() { w.must(hanging.Resume()) }()
	// Two users, the same command: no actor, and the search goes on.
	for _, client := range []*mongo.Client{ann, bob} {
		w.must(client.Database("of_0_0").RunCommand(t.Context(), bson.D{{Key: "collMod", Value: "of_0_0"}, {Key: "validationLevel", Value: "off"}}).Err())
	}
	const changes = 40
	for i := range changes {
		time.Sleep(100 * time.Millisecond)
		w.must(ann.Database("of_0_1").CreateCollection(t.Context(), fmt.Sprintf("of_0_%d", i)))
	}
	count := func(filter ...bson.E) int64 {
		n, err := w.root.Database("audit").Collection("schema_history").CountDocuments(t.Context(), append(bson.D{{Key: "database", Value: "of_0_1"}}, filter...))
		w.must(err)
		return n
	}
	for end := time.Now().Add(time.Minute); count() < changes && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	inTime := count(bson.E{Key: "actor.user", Value: "ann@admin"})
	t.Logf("%d of %d actors are in their notifications", inTime, changes)
	if inTime < changes*8/10 {
		t.Errorf("%d of %d actors are in their notifications", inTime, changes)
	}
}
