package pipeline

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/sink"
)

// isForeign reports whether a checkpoint belongs to another replica set than id; false if one of
// them is not known.
func isForeign(stored checkpoint.Checkpoint, id bson.ObjectID) bool {
	return !id.IsZero() && !stored.ReplicaSetID.IsZero() && stored.ReplicaSetID != id
}

// conflict decides what to do with a document whose _id is already used by another change. If
// the checkpoint is known to belong to this set, an earlier release reported the same entry
// differently: its document is kept. Otherwise two sets may share a SOURCE: the error is
// returned and the checkpoint does not advance.
func (p *Pipeline) conflict(conflict *sink.ConflictError) error {
	if p.replicaSetID.IsZero() {
		return conflict
	}
	p.Log.Warn("a different document with this _id exists (earlier release); keeping it",
		zap.String("collection", conflict.Namespace), zap.String("_id", conflict.ID))
	return nil
}

// foreignCheckpointError returns the error for two sets with the same name and sink.
func foreignCheckpointError(stored checkpoint.Checkpoint) error {
	return &config.Error{
		Reason: fmt.Sprintf("the checkpoint of source %s belongs to another replica set of the same name", stored.Source),
		Remedy: "set a different DDLTAIL_SOURCE for one of them",
	}
}
