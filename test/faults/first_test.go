package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// TestFirstRunUnderChanges lists the catalog for the first time while clients change collections without pause: the listing must end,
// and the catalog must be the server's when the changes end.
func TestFirstRunUnderChanges(t *testing.T) {
	s := newScene(t)
	stop := s.changeWithoutPause("unpaused", 16)
	s.while(500, 1000)
	p := s.run()
	s.ready(p)
	s.while(500, 1000)
	stop()
	s.published("history", s.mark("the_end"))
	status, err := ddltailtest.Start(binary, []string{"status"}, s.variables...)
	s.must(err)
	defer func() { _ = status.Close() }()
	code, err := status.Wait(t.Context())
	s.must(err)
	if code != 0 {
		t.Errorf("status: exit code %d\n%s%s", code, status.Stdout(), status.Stderr())
	}
	t.Log(status.Stdout())
}

// changeWithoutPause changes random collections of a database by several writers, until the returned function is called.
func (s *scene) changeWithoutPause(db string, writers int) (stop func()) {
	s.Helper()
	client := must[*mongo.Client](s.T)(mongo.Connect(options.Client().ApplyURI(s.set.URI())))
	ctx, cancel := context.WithCancel(s.Context())
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for ctx.Err() == nil {
				changeAny(ctx, client.Database(db))
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		_ = client.Disconnect(context.Background())
	})
	s.Cleanup(stop)
	return stop
}

// changeAny makes one random change. Some fail because of earlier ones.
func changeAny(ctx context.Context, db *mongo.Database) {
	name := fmt.Sprint("c", rand.IntN(5000))
	switch rand.IntN(6) {
	case 0, 1:
		_ = db.CreateCollection(ctx, name)
	case 2:
		_, _ = db.Collection(name).Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "a", Value: 1}}})
	case 3:
		_ = db.Collection(name).Indexes().DropAll(ctx)
	case 4:
		_ = db.RunCommand(ctx, bson.D{{Key: "collMod", Value: name}, {Key: "validationLevel", Value: []string{"off", "strict", "moderate"}[rand.IntN(3)]}}).Err()
	case 5:
		_ = db.Collection(name).Drop(ctx)
	}
}
