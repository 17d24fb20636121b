package pipeline

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/recovery"
)

// TestKnownLoss: what is lost whatever the members hold. Another set may have an entry of the same optime.
func TestKnownLoss(t *testing.T) {
	for _, c := range []struct {
		why   string
		state state
		want  recovery.Cause
	}{
		{"nothing is known to be lost", state{}, ""},
		{"the checkpoint was deleted", state{checkpointLost: true}, recovery.CheckpointLost},
		{"the set was recreated", state{replicaSetReplaced: true}, recovery.OtherHistory},
		{"both", state{replicaSetReplaced: true, checkpointLost: true}, recovery.OtherHistory},
	} {
		t.Run(c.why, func(t *testing.T) {
			lost := (&Pipeline{state: c.state}).knownLoss()
			if lost == nil && c.want == "" {
				return
			}
			if lost == nil || lost.Cause != c.want || lost.Err == nil {
				t.Errorf("got %+v, want %q", lost, c.want)
			}
		})
	}
}

func TestIsForeign(t *testing.T) {
	one, two, unknown := bson.NewObjectID(), bson.NewObjectID(), bson.ObjectID{}
	for _, c := range []struct {
		why        string
		stored, id bson.ObjectID
		want       bool
	}{
		{"the same set", one, one, false},
		{"another set", one, two, true},
		{"the set's id cannot be read", one, unknown, false},
		{"a checkpoint without an id", unknown, one, false},
	} {
		t.Run(c.why, func(t *testing.T) {
			if got := isForeign(checkpoint.Checkpoint{ReplicaSetID: c.stored}, c.id); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
