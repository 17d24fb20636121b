package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestSinkRefuses revokes the privilege to write while ddltail runs, and grants it again:
// the position does not advance meanwhile, /readyz and the metric show the error without
// a secret, and changes made meanwhile are reported.
func TestSinkRefuses(t *testing.T) {
	s := newScene(t, "sink_refuses")
	sink := mongotest.NewStandalone(t, mongotest.Options{Auth: true})
	root := mongotest.Connect(t, sink.URI())
	admin := root.Database("admin")
	role := bson.A{bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "audit"}}}
	s.must(admin.RunCommand(t.Context(), bson.D{{Key: "createUser", Value: "writer"}, {Key: "pwd", Value: "s3cret"}, {Key: "roles", Value: role}}).Err())
	p := s.start("DDLTAIL_SINK_URI=mongodb://writer:s3cret@"+sink.Addr()+"/audit?authSource=admin", "DDLTAIL_NAMESPACES=sink_refuses.*")

	s.must(admin.RunCommand(t.Context(), bson.D{{Key: "revokeRolesFromUser", Value: "writer"}, {Key: "roles", Value: role}}).Err())
	for _, name := range []string{"one", "two"} {
		s.run(bson.D{{Key: "create", Value: name}})
	}
	s.until("/readyz shows that the sink refuses", func() bool {
		status, body, err := p.Get(t.Context(), "/readyz")
		if strings.Contains(body+p.Stderr(), "s3cret") {
			t.Fatal("the password is shown")
		}
		return err == nil && status == http.StatusServiceUnavailable && strings.Contains(body, "privileges are missing") && !strings.Contains(body, "lsid")
	})
	s.must(admin.RunCommand(t.Context(), bson.D{{Key: "grantRolesToUser", Value: "writer"}, {Key: "roles", Value: role}}).Err())
	s.until("/readyz is ok again", func() bool { return ready(t, p) })
	queue := root.Database("audit").Collection("schema_notifications")
	s.until("both changes are reported", func() bool { return published(t, queue) == 2 })
	time.Sleep(100 * time.Millisecond)
	if n := published(t, queue); n != 2 {
		t.Errorf("%d notifications, want 2", n)
	}
}

func ready(t *testing.T, p *ddltailtest.Process) bool {
	status, _, err := p.Get(t.Context(), "/readyz")
	return err == nil && status == http.StatusOK
}

func published(t *testing.T, queue *mongo.Collection) int64 {
	n, err := queue.CountDocuments(t.Context(), bson.D{{Key: "database", Value: "sink_refuses"}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
