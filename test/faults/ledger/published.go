package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

// Document is one notification of the queue or of the history.
type Document struct {
	ID        string
	Effect    Effect
	OpTime    OpTime
	Source    string
	Processed bool
	Raw       bson.Raw
}

// FromOplog reports whether the document tells an oplog entry, and not a gap or what a comparison inferred.
func (d Document) FromOplog() bool { return d.Source == "oplog" }

// ReadPublished reads all notifications of a collection in the order in which they were written.
func ReadPublished(ctx context.Context, coll *mongo.Collection) ([]Document, error) {
	coll = coll.Clone(options.Collection().SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary()))
	cursor, err := coll.Find(ctx, bson.D{{Key: "operation", Value: bson.D{{Key: "$exists", Value: true}}}},
		options.Find().SetSort(bson.D{{Key: "$natural", Value: 1}}))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", coll.Name(), err)
	}
	var raws []bson.Raw
	if err := cursor.All(ctx, &raws); err != nil {
		return nil, fmt.Errorf("read %s: %w", coll.Name(), err)
	}
	told := make([]Document, len(raws))
	for i, raw := range raws {
		if told[i], err = decodeDocument(raw); err != nil {
			return nil, fmt.Errorf("decode %.500s: %w", raw, err)
		}
	}
	order, err := writes(ctx, coll)
	slices.SortStableFunc(told, func(a, b Document) int { return cmp.Compare(order[a.ID], order[b.ID]) })
	return told, err
}

// writes says in which order documents came into a collection. On a replica set that is in the oplog: a secondary applies writes of
// one batch in any order, and may be the primary later. A server without one keeps them as they came, and all are equal here.
func writes(ctx context.Context, coll *mongo.Collection) (map[string]int, error) {
	oplog := coll.Database().Client().Database("local").Collection("oplog.rs",
		options.Collection().SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary()))
	cursor, err := oplog.Find(ctx, bson.D{{Key: "op", Value: "i"}, {Key: "ns", Value: coll.Database().Name() + "." + coll.Name()}},
		options.Find().SetSort(bson.D{{Key: "$natural", Value: 1}}).SetProjection(bson.D{{Key: "o._id", Value: 1}}))
	if err != nil {
		return nil, fmt.Errorf("read the writes to %s: %w", coll.Name(), err)
	}
	defer cursor.Close(ctx)
	order := map[string]int{}
	for n := 1; cursor.Next(ctx); n++ {
		id, _ := cursor.Current.Lookup("o", "_id").StringValueOK()
		order[id] = n
	}
	return order, cursor.Err()
}

func decodeDocument(raw bson.Raw) (Document, error) {
	var d struct {
		ID        string `bson:"_id"`
		Operation string `bson:"operation"`
		NS        string `bson:"ns"`
		Index     string `bson:"index_name"`
		To        any    `bson:"to"` // of a gap a document
		OpTime    OpTime `bson:"optime"`
		Source    string `bson:"source"`
		Processed bool   `bson:"processed"`
	}
	err := bson.Unmarshal(raw, &d)
	to, _ := d.To.(string)
	return Document{
		ID: d.ID, OpTime: d.OpTime, Source: d.Source, Processed: d.Processed, Raw: raw,
		Effect: Effect{Operation: d.Operation, NS: d.NS, Index: d.Index, To: to},
	}, err
}
