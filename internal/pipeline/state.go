package pipeline

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/detector"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/recovery"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/snapshot"
)

// state is what the pipeline keeps between two reads. A process that starts again derives position and catalog from what is stored, and
// finds out the rest by reading.
type state struct {
	// phase is the state of recovery.
	phase recovery.Machine
	// shard is the shard's name and cluster, if the set is part of a cluster.
	shard oplog.Shard
	known *detector.State
	// detected is true if known is ahead of what has been published.
	detected bool
	// position is the last published entry; if inclusive, that entry is still to be published.
	position  oplog.Moment
	inclusive bool
	// requestedStart and baseline bound the part of the oplog before the first run that START
	// includes; requestedStart is zero without a past START.
	requestedStart, baseline oplog.OpTime
	// checkpointLost is true if the stored checkpoint was lost and position is derived from the
	// history or the catalog.
	checkpointLost bool
	// replicaSetID is the id of the set that is read; zero if not known.
	replicaSetID bson.ObjectID
	// replicaSetReplaced is true if the checkpoint was written for another set.
	replicaSetReplaced bool
	// leaseHolder identifies this process in leases.
	leaseHolder string
	// chain is a transaction whose beginning the last member lacked.
	chain *oplog.ChainError
	// ownRemoved is true if own collections were dropped or renamed and must be recreated.
	ownRemoved bool
	// listed is a snapshot to be compared when the position has passed its optime;
	// nextCompareAt is when the next one is due.
	listed        *snapshot.Snapshot
	nextCompareAt time.Time
	// differing are the namespaces that differed in the last comparison, to be confirmed by
	// the next one.
	differing []schema.Namespace
	// unlisted are the namespaces that the server cannot list.
	unlisted unlisted
	// compared is the last comparison that known includes.
	compared oplog.OpTime
	// loaded is the checkpoint as last loaded or saved, if that was recent.
	loaded loaded
	// saved is the position in the stored checkpoint, as far as this process knows.
	saved            oplog.OpTime
	savedAt          time.Time
	progressLoggedAt time.Time
	// observedAt is when the ends of the member's oplog were last read.
	observedAt time.Time
	// savedMembers are the members in the stored checkpoint.
	savedMembers []string
}
