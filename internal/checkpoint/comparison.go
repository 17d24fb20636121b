package checkpoint

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/oplog"
)

// leaseTime is how long a lease lasts without renewal.
const leaseTime = 30 * time.Second

// LeaseRenewal is how often the holder of a lease should renew it.
const LeaseRenewal = leaseTime / 3

// Comparison is a comparison of the known catalog with the server's. It is recorded after all
// definitions at To were stored in the catalog, so that the differences depend only on the two,
// and are the same for every process and after every crash.
type Comparison struct {
	// From is the last position whose catalog was known, To the position of the server's
	// catalog.
	From oplog.Moment `bson:"from"`
	To   oplog.Moment `bson:"to"`
	// Known is the optime in the catalog that corresponds to From: the snapshot of a first run
	// is slightly later than its position.
	Known oplog.OpTime `bson:"known"`
	// Unknown is true if no catalog was known, so that there are no differences.
	Unknown bool `bson:"unknown,omitempty"`
	// Gap is true if the history between From and To is lost, and the position moves to To.
	Gap bool `bson:"gap,omitempty"`
	// Inclusive is true if the entry at To is still to be published.
	Inclusive bool `bson:"inclusive,omitempty"`
	// Listed is when the server was listed.
	Listed oplog.Moment `bson:"listed"`
	// Undefined are namespaces that existed at To and were dropped before they were listed.
	Undefined []Undefined `bson:"undefined,omitempty"`
	// Unlisted are the namespaces that the server could not list. They are stored next to the
	// comparison, and remain after it is published.
	Unlisted []Unlisted `bson:"-"`
}

// Undefined is a namespace without a known definition.
type Undefined struct {
	Database   string      `bson:"database"`
	Collection string      `bson:"collection"`
	Kind       string      `bson:"kind"`
	UUID       bson.Binary `bson:"uuid"`
}

// Lease acquires or renews the lease for a comparison, on the server's clock. holder is a unique
// name of this process. It returns false if another process holds the lease, or if the stored
// position is not at (zero matches any).
func (s Store) Lease(ctx context.Context, at oplog.OpTime, holder string) (bool, error) {
	free := bson.A{
		bson.D{{Key: "lease", Value: nil}},
		bson.D{{Key: "lease.holder", Value: holder}},
		bson.D{{Key: "$expr", Value: bson.D{{Key: "$lt", Value: bson.A{"$lease.until", "$$NOW"}}}}},
	}
	filter := append(s.uncompared(at), bson.E{Key: "$or", Value: free})
	res, err := s.coll.UpdateOne(ctx, filter, mongo.Pipeline{{{Key: "$set", Value: bson.D{{Key: "lease", Value: bson.D{
		{Key: "holder", Value: holder},
		{Key: "until", Value: bson.D{{Key: "$add", Value: bson.A{"$$NOW", leaseTime.Milliseconds()}}}},
	}}}}}})
	if err != nil {
		return false, fmt.Errorf("acquire the lease of %s: %w", s.id, s.explain(err))
	}
	return res.MatchedCount > 0, nil
}

// uncompared selects the checkpoint while no comparison is pending.
func (s Store) uncompared(at oplog.OpTime) bson.D {
	filter := bson.D{{Key: "_id", Value: s.id}, {Key: "comparison", Value: nil}}
	if !at.IsZero() {
		filter = append(filter, bson.E{Key: "optime.ts", Value: at.TS})
	}
	return filter
}

// Record stores a comparison, by compare-and-set. It returns false if this process no longer
// holds the lease, or if the stored position has changed. The replica set's id is stored too:
// after a gap the set may be another one.
func (s Store) Record(ctx context.Context, at oplog.OpTime, holder string, c Comparison, set bson.ObjectID) (bool, error) {
	filter := append(s.uncompared(at), bson.E{Key: "lease.holder", Value: holder})
	fields := bson.D{{Key: "comparison", Value: c}, {Key: "unlisted", Value: c.Unlisted}}
	if !set.IsZero() {
		fields = append(fields, bson.E{Key: "replica_set_id", Value: set})
	}
	res, err := s.coll.UpdateOne(ctx, filter, bson.D{{Key: "$set", Value: fields}})
	if err != nil {
		return false, fmt.Errorf("record the comparison of %s: %w", s.id, s.explain(err))
	}
	return res.MatchedCount > 0, nil
}

// Settle removes a comparison that has been published. For a gap it sets the position to the end
// of the gap, which may be before the stored one if the set's history was replaced. It does
// nothing if another process has removed the comparison already.
func (s Store) Settle(ctx context.Context, c Comparison) error {
	this := bson.D{{Key: "_id", Value: s.id}, {Key: "comparison.to.ts", Value: c.To.TS}, {Key: "comparison.from.ts", Value: c.From.TS}}
	fields := bson.D{{Key: "compared", Value: c.Listed}, {Key: "saved_at", Value: time.Now().UTC()}}
	gone := bson.D{{Key: "comparison", Value: ""}, {Key: "lease", Value: ""}}
	if c.Gap {
		fields = append(fields, bson.E{Key: "optime", Value: c.To.OpTime}, bson.E{Key: "wall", Value: c.To.Wall},
			bson.E{Key: "inclusive", Value: c.Inclusive})
		gone = append(gone, bson.E{Key: "lost", Value: ""}, bson.E{Key: "replaced", Value: ""}, bson.E{Key: "began", Value: ""})
	}
	// A recreated checkpoint does not know when the catalog was first listed.
	unlisted := append(slices.Clone(this), bson.E{Key: "baseline", Value: nil})
	_, err := s.coll.UpdateOne(ctx, unlisted, bson.D{{Key: "$set", Value: bson.D{{Key: "baseline", Value: c.known()}}}})
	if err == nil {
		_, err = s.coll.UpdateOne(ctx, this, bson.D{{Key: "$set", Value: fields}, {Key: "$unset", Value: gone}})
	}
	if err != nil {
		return fmt.Errorf("remove the published comparison of %s: %w", s.id, s.explain(err))
	}
	return nil
}

// known returns the first position for which a catalog certainly exists.
func (c Comparison) known() oplog.OpTime {
	if c.Unknown || c.Known.IsZero() {
		return c.Listed.OpTime
	}
	return c.Known
}

// SetCompared records a comparison that found no difference.
func (s Store) SetCompared(ctx context.Context, at oplog.Moment) error {
	earlier := bson.D{{Key: "_id", Value: s.id}, {Key: "$or", Value: bson.A{
		bson.D{{Key: "compared", Value: nil}}, bson.D{{Key: "compared.ts", Value: bson.D{{Key: "$lt", Value: at.TS}}}},
	}}}
	if _, err := s.coll.UpdateOne(ctx, earlier, bson.D{{Key: "$set", Value: bson.D{{Key: "compared", Value: at}}}}); err != nil {
		return fmt.Errorf("record the comparison of %s: %w", s.id, s.explain(err))
	}
	return nil
}

// TakeOwnership replaces the replica set id of a checkpoint. If it had one, the set was replaced: that stays recorded until the gap
// is published. It returns false if the stored position or id has changed meanwhile.
func (s Store) TakeOwnership(ctx context.Context, from Checkpoint, set bson.ObjectID) (bool, error) {
	recorded, fields := any(from.ReplicaSetID), bson.D{{Key: "replica_set_id", Value: set}, {Key: "replaced", Value: true}}
	if from.ReplicaSetID.IsZero() {
		recorded, fields = nil, fields[:1]
	}
	filter := bson.D{{Key: "_id", Value: s.id}, {Key: "optime", Value: from.Position.OpTime}, {Key: "replica_set_id", Value: recorded}}
	res, err := s.coll.UpdateOne(ctx, filter, bson.D{{Key: "$set", Value: fields}})
	if err != nil {
		return false, fmt.Errorf("record the replica set of %s: %w", s.id, s.explain(err))
	}
	return res.MatchedCount > 0, nil
}
