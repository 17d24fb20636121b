// Package checkpoint stores how far the oplog has been published, one document for each
// SOURCE and NAME, and how far a source's history was pruned, one document for each SOURCE.
package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/refusal"
)

// Checkpoint states that every change at or before Position is in every sink.
type Checkpoint struct {
	Source   string
	Name     string
	Position oplog.Moment
	// Inclusive is true if the entry at Position itself is still to be published: a first run
	// that starts at the oldest entry has no entry before it.
	Inclusive bool
	// Began is where a first run with a past START began; zero for one that began at the head.
	// Entries truncated before Baseline are not a gap then.
	Began oplog.OpTime
	// Lost is true if the document had been deleted and was derived from history and catalog.
	Lost bool
	// Replaced is true if Position is that of another replica set, which this one has replaced.
	Replaced   bool
	ReplicaSet string
	// ReplicaSetID distinguishes two sets with the same name; zero if it could not be read.
	ReplicaSetID bson.ObjectID
	// Baseline is the optime of the catalog's snapshot for this NAME; zero before that.
	Baseline oplog.OpTime
	// Compared is the position at which the known catalog was last compared with the server's;
	// zero if it never was.
	Compared oplog.Moment
	// Pending is a recorded comparison that is still to be published; nil for none.
	Pending *Comparison
	// Unlisted are the namespaces that the server could not list the last time.
	Unlisted []Unlisted
	Settings Settings
	// Members are the members of the set's configuration as last seen.
	Members []string
	SavedAt time.Time
}

// Settings must be equal among detectors of one NAME.
type Settings struct {
	Sinks             []string `bson:"sinks"`
	Namespaces        []string `bson:"namespaces"`
	ExcludeNamespaces []string `bson:"exclude_namespaces"`
	Operations        []string `bson:"operations"`
}

// Filter returns the filter of these settings.
func (s Settings) Filter() (notification.Filter, error) {
	rules := notification.Rules{Operations: s.Operations, Namespaces: slices.Clone(s.Namespaces)}
	for _, glob := range s.ExcludeNamespaces {
		rules.Namespaces = append(rules.Namespaces, "!"+glob)
	}
	return notification.NewFilter(rules)
}

// document is a stored Checkpoint.
type document struct {
	ID           string        `bson:"_id"`
	Source       string        `bson:"source"`
	Name         string        `bson:"name"`
	OpTime       oplog.OpTime  `bson:"optime"`
	Wall         time.Time     `bson:"wall"`
	Inclusive    bool          `bson:"inclusive,omitempty"`
	Began        *oplog.OpTime `bson:"began,omitempty"`
	Lost         bool          `bson:"lost,omitempty"`
	Replaced     bool          `bson:"replaced,omitempty"`
	ReplicaSet   string        `bson:"replica_set"`
	ReplicaSetID bson.ObjectID `bson:"replica_set_id,omitempty"`
	// Queue is used by the unique index: only one NAME of a source may fill the queue.
	Queue    bool          `bson:"queue,omitempty"`
	Baseline *oplog.OpTime `bson:"baseline,omitempty"`
	Compared *oplog.Moment `bson:"compared,omitempty"`
	Pending  *Comparison   `bson:"comparison,omitempty"`
	Unlisted []Unlisted    `bson:"unlisted,omitempty"`
	Settings Settings      `bson:"wiring"` // the name since the first release
	Members  []string      `bson:"members,omitempty"`
	SavedAt  time.Time     `bson:"saved_at"`
}

func (d document) checkpoint() Checkpoint {
	c := Checkpoint{
		Source: d.Source, Name: d.Name, Position: oplog.Moment{OpTime: d.OpTime, Wall: d.Wall},
		Inclusive: d.Inclusive, Began: valueOf(d.Began), Lost: d.Lost, Replaced: d.Replaced,
		ReplicaSet: d.ReplicaSet, ReplicaSetID: d.ReplicaSetID,
		Baseline: valueOf(d.Baseline), Compared: valueOf(d.Compared), Pending: d.Pending,
		Unlisted: d.Unlisted, Settings: d.Settings, Members: d.Members, SavedAt: d.SavedAt,
	}
	if c.Position.Wall.IsZero() {
		// Earlier releases did not store it.
		c.Position.Wall = d.OpTime.Time()
	}
	return c
}

func valueOf[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

func pointerTo[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// ErrQueueTaken is returned if another NAME of the same source fills the queue.
var ErrQueueTaken = errors.New("another name of this source fills the queue of this database")

// ErrMissing is returned if the stored checkpoint was deleted.
var ErrMissing = errors.New("the stored checkpoint is missing")

// queueIndex is the name of the index that prevents two names from filling one queue.
const queueIndex = "one_queue_per_source"

// Store stores one checkpoint in a collection. Its client must use read and write concern
// majority and read from the primary.
type Store struct {
	coll       *mongo.Collection
	source, id string
}

// NewStore returns the store of one SOURCE and NAME.
func NewStore(coll *mongo.Collection, source, name string) Store {
	return Store{coll: coll, source: source, id: source + ":" + name}
}

// Setup creates the collection's index. It is idempotent.
func (s Store) Setup(ctx context.Context, ensure ownindex.Ensure) error {
	return ensure(ctx, s.coll, ownindex.Index{
		Name: queueIndex, Keys: bson.D{{Key: "source", Value: 1}}, Unique: true,
		Partial: bson.D{{Key: "queue", Value: true}},
	})
}

// CheckQueue returns ErrQueueTaken if another name of the source fills the queue. The unique
// index does not allow that, but it may not exist yet.
func (s Store) CheckQueue(ctx context.Context) error {
	err := s.coll.FindOne(ctx, bson.D{
		{Key: "source", Value: s.source}, {Key: "queue", Value: true}, {Key: "_id", Value: bson.D{{Key: "$ne", Value: s.id}}},
	}).Err()
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return nil
	case err != nil:
		return fmt.Errorf("find another name of %s that fills the queue: %w", s.source, err)
	}
	return fmt.Errorf("fill the queue as %s: %w", s.id, ErrQueueTaken)
}

// Load reads the stored checkpoint and reports whether there is one.
func (s Store) Load(ctx context.Context) (Checkpoint, bool, error) {
	var d document
	err := s.coll.FindOne(ctx, bson.D{{Key: "_id", Value: s.id}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return Checkpoint{}, false, nil
	}
	if err != nil {
		return Checkpoint{}, false, fmt.Errorf("read the checkpoint %s: %w", s.id, err)
	}
	return d.checkpoint(), true, nil
}

// Create stores a first checkpoint, unless another process was faster, and returns the stored
// one. The error is ErrQueueTaken if another name fills the queue.
func (s Store) Create(ctx context.Context, c Checkpoint, queue bool) (Checkpoint, error) {
	_, err := s.coll.InsertOne(ctx, document{
		ID: s.id, Source: c.Source, Name: c.Name, OpTime: c.Position.OpTime, Wall: c.Position.Wall,
		Inclusive: c.Inclusive, Began: pointerTo(c.Began), Lost: c.Lost, Replaced: c.Replaced,
		ReplicaSet: c.ReplicaSet, ReplicaSetID: c.ReplicaSetID, Queue: queue,
		Compared: pointerTo(c.Compared), Unlisted: c.Unlisted, Settings: c.Settings, SavedAt: time.Now().UTC(),
	})
	if err != nil && !mongo.IsDuplicateKeyError(err) {
		return Checkpoint{}, fmt.Errorf("create the checkpoint %s: %w", s.id, s.explain(err))
	}
	stored, ok, loadErr := s.Load(ctx)
	if loadErr != nil {
		return Checkpoint{}, loadErr
	}
	if !ok && err != nil {
		if taken := s.CheckQueue(ctx); taken != nil {
			return Checkpoint{}, taken
		}
		return Checkpoint{}, s.explain(err)
	}
	if !ok {
		return Checkpoint{}, ErrMissing
	}
	return stored, nil
}

// RecordSettings records the filters and sinks of this process.
func (s Store) RecordSettings(ctx context.Context, now Settings, queue bool) error {
	update := bson.D{{Key: "$set", Value: bson.D{{Key: "wiring", Value: now}}}}
	if queue {
		update = bson.D{{Key: "$set", Value: bson.D{{Key: "wiring", Value: now}, {Key: "queue", Value: true}}}}
	} else {
		update = append(update, bson.E{Key: "$unset", Value: bson.D{{Key: "queue", Value: ""}}})
	}
	_, err := s.coll.UpdateByID(ctx, s.id, update)
	if mongo.IsDuplicateKeyError(err) {
		if taken := s.CheckQueue(ctx); taken != nil {
			return fmt.Errorf("record the sinks of %s: %w", s.id, taken)
		}
	}
	if err != nil {
		return fmt.Errorf("record the sinks of %s: %w", s.id, s.explain(err))
	}
	return nil
}

// RecordMembers records the members of the set's configuration.
func (s Store) RecordMembers(ctx context.Context, hosts []string) error {
	if _, err := s.coll.UpdateByID(ctx, s.id, bson.D{{Key: "$set", Value: bson.D{{Key: "members", Value: hosts}}}}); err != nil {
		return fmt.Errorf("record the members of %s: %w", s.id, s.explain(err))
	}
	return nil
}

// SetBaseline records that the catalog is complete at an optime; zero means that it must be
// listed again.
func (s Store) SetBaseline(ctx context.Context, at oplog.OpTime) error {
	if _, err := s.coll.UpdateByID(ctx, s.id, bson.D{{Key: "$set", Value: bson.D{{Key: "baseline", Value: at}}}}); err != nil {
		return fmt.Errorf("record the baseline of %s: %w", s.id, s.explain(err))
	}
	return nil
}

// Unlisted is a part of the server's catalog that it cannot list: a namespace or, without a
// collection, a database or its views.
type Unlisted struct {
	Database   string `bson:"database"`
	Collection string `bson:"collection,omitempty"`
	Views      bool   `bson:"views,omitempty"`
	Reason     string `bson:"reason"`
}

// SetUnlisted records the namespaces that the server cannot list.
func (s Store) SetUnlisted(ctx context.Context, unlisted []Unlisted) error {
	update := bson.D{{Key: "$set", Value: bson.D{{Key: "unlisted", Value: unlisted}}}}
	if len(unlisted) == 0 {
		update = bson.D{{Key: "$unset", Value: bson.D{{Key: "unlisted", Value: ""}}}}
	}
	if _, err := s.coll.UpdateByID(ctx, s.id, update); err != nil {
		return fmt.Errorf("record the unlisted namespaces of %s: %w", s.id, s.explain(err))
	}
	return nil
}

// Advance moves the stored position forward to p and returns the stored checkpoint, which can
// be further ahead if another process was faster. The error is ErrMissing if there is no
// checkpoint. A checkpoint of another replica set is not changed.
func (s Store) Advance(ctx context.Context, p oplog.Moment, set bson.ObjectID) (Checkpoint, error) {
	behind := bson.D{
		{Key: "_id", Value: s.id},
		{Key: "$or", Value: bson.A{
			bson.D{{Key: "optime.ts", Value: bson.D{{Key: "$lt", Value: p.TS}}}},
			bson.D{{Key: "optime.ts", Value: p.TS}, {Key: "inclusive", Value: true}},
		}},
	}
	if !set.IsZero() {
		behind = append(behind, bson.E{Key: "replica_set_id", Value: bson.D{{Key: "$in", Value: bson.A{set, nil}}}})
	}
	_, err := s.coll.UpdateOne(ctx, behind, bson.D{
		{Key: "$set", Value: bson.D{
			{Key: "optime", Value: p.OpTime}, {Key: "wall", Value: p.Wall}, {Key: "saved_at", Value: time.Now().UTC()},
		}},
		{Key: "$unset", Value: bson.D{{Key: "inclusive", Value: ""}}},
	})
	if err != nil {
		return Checkpoint{}, fmt.Errorf("move the checkpoint %s to %s: %w", s.id, p, s.explain(err))
	}
	stored, ok, err := s.Load(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	if !ok {
		return Checkpoint{}, fmt.Errorf("move the checkpoint %s to %s: %w", s.id, p, ErrMissing)
	}
	return stored, nil
}

// Exists reports whether any NAME of a source has a checkpoint.
func (s Store) Exists(ctx context.Context, source string) (bool, error) {
	err := s.coll.FindOne(ctx, bson.D{{Key: "source", Value: source}}).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find the checkpoints of %s: %w", source, err)
	}
	return true, nil
}

// explain names the index or the validator that refuses the checkpoint.
func (s Store) explain(err error) error {
	return refusal.Explain(err, s.coll.Database().Name()+"."+s.coll.Name(), s.id)
}
