package oplog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestHeadNotKnown restarts one member of three alone: until it can learn what a majority of the
// members has, it does not know the newest majority-committed entry.
func TestHeadNotKnown(t *testing.T) {
	set := mongotest.NewReplicaSet(t, mongotest.Options{Members: 3})
	for _, m := range set.Members() {
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	alone := set.Members()[0]
	if err := alone.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	base := options.Client().ApplyURI("mongodb://" + alone.Addr())
	client, err := replicaset.Connect(t.Context(), base, alone.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	m := oplog.Member{Host: alone.Addr(), Client: client}
	unknown := 0
	for end := time.Now().Add(30 * time.Second); unknown < 20; time.Sleep(100 * time.Millisecond) {
		head, err := m.Head(t.Context())
		switch {
		case errors.Is(err, oplog.ErrHeadUnknown):
			unknown++
		case !errors.Is(err, oplog.ErrNotReadable): // as a member is while it starts
			t.Fatalf("the newest majority-committed entry is %v, %v", head, err)
		case time.Now().After(end):
			t.Fatal(err)
		}
	}
}
