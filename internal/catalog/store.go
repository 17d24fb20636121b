// Package catalog stores the versions of every namespace's definition.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/refusal"
	"github.com/ddltail/ddltail/internal/schema"
)

// maxInsert bounds how many versions are written per insert.
const maxInsert = 500

// version is a stored [schema.Version].
type version struct {
	ID         string       `bson:"_id"`
	Source     string       `bson:"source"`
	NS         string       `bson:"ns"`
	Database   string       `bson:"database"`
	Collection string       `bson:"collection"`
	Kind       schema.Kind  `bson:"kind,omitempty"`
	UUID       *bson.Binary `bson:"uuid,omitempty"`
	OpTime     oplog.OpTime `bson:"optime"`
	Wall       time.Time    `bson:"wall"`
	Temp       bool         `bson:"temp"`
	// Listed is true if the version is from a listing and not from an oplog entry.
	Listed bool `bson:"listed,omitempty"`
	// Definition is null if the namespace was dropped.
	Definition *definition `bson:"definition"`
}

type definition struct {
	Options bson.Raw   `bson:"options"`
	Indexes []bson.Raw `bson:"indexes"`
}

// Store stores the versions of one source. Its client must use read and write concern majority
// and read from the primary.
type Store struct {
	coll   *mongo.Collection
	source string
}

// NewStore returns the store of one source.
func NewStore(coll *mongo.Collection, source string) Store {
	return Store{coll: coll, source: source}
}

// Setup creates the indexes for queries of a namespace's versions, the newest one and that of
// a time. It is idempotent.
func (s Store) Setup(ctx context.Context, ensure ownindex.Ensure) error {
	return ensure(ctx, s.coll,
		ownindex.Index{Keys: bson.D{
			{Key: "source", Value: 1}, {Key: "ns", Value: 1}, {Key: "optime.ts", Value: -1}, {Key: "wall", Value: 1}, {Key: "_id", Value: 1},
		}},
		ownindex.Index{Keys: bson.D{{Key: "source", Value: 1}, {Key: "wall", Value: 1}, {Key: "ns", Value: 1}}},
	)
}

// Save inserts versions. A version that is already stored is the same: the version of a
// namespace from an optime on never changes.
func (s Store) Save(ctx context.Context, versions []schema.Version) error {
	return s.save(ctx, versions, false)
}

// SaveListed inserts versions from a listing.
func (s Store) SaveListed(ctx context.Context, versions []schema.Version) error {
	return s.save(ctx, versions, true)
}

func (s Store) save(ctx context.Context, versions []schema.Version, listed bool) error {
	for chunk := range slices.Chunk(versions, maxInsert) {
		docs := make([]any, len(chunk))
		for i, v := range chunk {
			doc := s.document(v)
			doc.Listed = listed
			docs[i] = doc
		}
		_, err := s.coll.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
		if err != nil && !refusal.OnlyDuplicateIDs(err) {
			return fmt.Errorf("write to %s.%s: %w", s.coll.Database().Name(), s.coll.Name(), s.explain(err, docs))
		}
	}
	return nil
}

// explain names the first version that the server refuses.
func (s Store) explain(err error, docs []any) error {
	return refusal.ExplainBulk(err, s.coll.Database().Name()+"."+s.coll.Name(), func(write int) string {
		v, _ := docs[write].(version)
		return v.ID
	})
}

func (s Store) document(v schema.Version) version {
	doc := version{
		ID:         fmt.Sprintf("%s:%010d:%010d:%s", s.source, v.OpTime.TS.T, v.OpTime.TS.I, v.Namespace),
		Source:     s.source,
		NS:         v.Namespace.String(),
		Database:   v.Namespace.Database,
		Collection: v.Namespace.Collection,
		OpTime:     v.OpTime,
		Wall:       v.Wall,
	}
	if d := v.Definition; d != nil {
		doc.Kind, doc.Temp = d.Kind, d.Temporary
		doc.Definition = &definition{Options: d.Options, Indexes: d.Indexes}
		if !d.UUID.IsZero() {
			id := d.UUID.Binary()
			doc.UUID = &id
		}
	}
	return doc
}

func (doc version) version() schema.Version {
	v := schema.Version{
		Namespace: schema.Namespace{Database: doc.Database, Collection: doc.Collection},
		OpTime:    doc.OpTime,
		Wall:      doc.Wall,
	}
	if doc.Definition != nil {
		v.Definition = &schema.Definition{
			Kind: doc.Kind, Options: doc.Definition.Options, Indexes: doc.Definition.Indexes, Temporary: doc.Temp,
		}
		if doc.UUID != nil && len(doc.UUID.Data) == len(oplog.UUID{}) {
			v.Definition.UUID = oplog.UUID(doc.UUID.Data)
		}
	}
	return v
}

// Load returns the catalog at a position: the newest version of each namespace at or before it.
func (s Store) Load(ctx context.Context, at bson.Timestamp) (*schema.Catalog, error) {
	known, err := s.newest(ctx, bson.E{Key: "optime.ts", Value: bson.D{{Key: "$lte", Value: at}}})
	if err != nil {
		return nil, err
	}
	later := bson.D{{Key: "source", Value: s.source}, {Key: "optime.ts", Value: bson.D{{Key: "$gt", Value: at}}}}
	cur, err := s.coll.Find(ctx, later, options.Find().SetSort(bson.D{{Key: "optime.ts", Value: 1}}))
	if err := s.each(ctx, cur, err, known.Expect); err != nil {
		return nil, err
	}
	return known, nil
}

// LoadUnlisted returns the catalog at a position, without the versions of a listing at exactly
// this position.
func (s Store) LoadUnlisted(ctx context.Context, at bson.Timestamp) (*schema.Catalog, error) {
	return s.newest(ctx, bson.E{Key: "$or", Value: bson.A{
		bson.D{{Key: "optime.ts", Value: bson.D{{Key: "$lt", Value: at}}}},
		bson.D{{Key: "optime.ts", Value: at}, {Key: "listed", Value: bson.D{{Key: "$ne", Value: true}}}},
	}})
}

// Newest returns the position of the newest version; zero if there is none.
func (s Store) Newest(ctx context.Context) (oplog.Moment, error) {
	var doc version
	newest := options.FindOne().SetSort(bson.D{{Key: "optime.ts", Value: -1}})
	err := s.coll.FindOne(ctx, bson.D{{Key: "source", Value: s.source}}, newest).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return oplog.Moment{}, nil
	}
	if err != nil {
		return oplog.Moment{}, fmt.Errorf("read %s.%s: %w", s.coll.Database().Name(), s.coll.Name(), err)
	}
	return oplog.Moment{OpTime: doc.OpTime, Wall: doc.Wall}, nil
}

// newest returns a catalog of the newest version of each namespace that matches a condition.
func (s Store) newest(ctx context.Context, when bson.E) (*schema.Catalog, error) {
	known := &schema.Catalog{}
	pipeline := mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "source", Value: s.source}, when}}},
		{{Key: "$sort", Value: bson.D{{Key: "source", Value: 1}, {Key: "ns", Value: 1}, {Key: "optime.ts", Value: -1}}}},
		{{Key: "$group", Value: bson.D{{Key: "_id", Value: "$ns"}, {Key: "newest", Value: bson.D{{Key: "$first", Value: "$$ROOT"}}}}}},
		{{Key: "$replaceRoot", Value: bson.D{{Key: "newRoot", Value: "$newest"}}}},
	}
	cur, err := s.coll.Aggregate(ctx, pipeline, options.Aggregate().SetAllowDiskUse(true))
	err = s.each(ctx, cur, err, known.Set)
	if err != nil {
		return nil, err
	}
	return known, nil
}

func (s Store) each(ctx context.Context, cur *mongo.Cursor, err error, take func(schema.Version)) error {
	if err != nil {
		return fmt.Errorf("read %s.%s: %w", s.coll.Database().Name(), s.coll.Name(), err)
	}
	defer cur.Close(ctx)
	for cur.Next(ctx) {
		var doc version
		if err := cur.Decode(&doc); err != nil {
			return fmt.Errorf("decode a version of %s.%s: %w", s.coll.Database().Name(), s.coll.Name(), err)
		}
		take(doc.version())
	}
	if err := cur.Err(); err != nil {
		return fmt.Errorf("read %s.%s: %w", s.coll.Database().Name(), s.coll.Name(), err)
	}
	return nil
}
