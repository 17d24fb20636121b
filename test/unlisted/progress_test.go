package unlisted

import (
	"fmt"
	"testing"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/snapshot"
	"github.com/ddltail/ddltail/test/mongotest"
)

// TestProgress: a listing and a rewind report their progress, so that a supervisor does not take a long one for a process that hangs.
func TestProgress(t *testing.T) {
	t.Parallel()
	set := mongotest.NewReplicaSet(t, mongotest.Options{Members: 1})
	m := set.Members()[0]
	client := mongotest.Connect(t, "mongodb://"+m.Addr()+"/?directConnection=true")
	member := oplog.Member{Host: m.Addr(), Client: client}
	before, err := member.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const collections = 10
	for i := range collections {
		if err := client.Database("shop").CreateCollection(t.Context(), fmt.Sprint("c", i)); err != nil {
			t.Fatal(err)
		}
	}
	calls := 0
	taker := snapshot.Taker{Detector: detector.New(schema.Scope{}), Progress: func() { calls++ }, Log: zap.NewNop()}
	listed, err := taker.Take(t.Context(), member)
	if err != nil || calls < collections {
		t.Errorf("%d calls for %d collections, %v", calls, collections, err)
	}
	calls = 0
	past, err := taker.Rewound(t.Context(), member, snapshot.Span{From: oplog.Start{Position: before}, To: listed, LastKnown: &schema.Catalog{}})
	if err != nil || calls == 0 || len(past.Versions) > 0 {
		t.Errorf("%d calls of a rewind to %d versions, %v", calls, len(past.Versions), err)
	}
}
