package ledger

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

// Document is one notification.
type Document struct {
	ID     string
	Effect Effect
	OpTime OpTime
	Source string
	Raw    bson.Raw
}

// FromOplog reports whether the document is from an oplog entry, not a gap or inferred by a comparison.
func (d Document) FromOplog() bool { return d.Source == "oplog" }

// ReadPublished returns all notifications in a collection.
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
	published := make([]Document, len(raws))
	for i, raw := range raws {
		if published[i], err = Decode(raw); err != nil {
			return nil, fmt.Errorf("decode %.500s: %w", raw, err)
		}
	}
	return published, nil
}

// Decode decodes a notification.
func Decode(raw bson.Raw) (Document, error) {
	var d struct {
		ID        any    `bson:"_id"` // an ObjectId if written by hand
		Operation string `bson:"operation"`
		NS        string `bson:"ns"`
		Index     string `bson:"index_name"`
		To        any    `bson:"to"` // a document in a HISTORY_GAP
		OpTime    OpTime `bson:"optime"`
		Source    string `bson:"source"`
	}
	err := bson.Unmarshal(raw, &d)
	id, _ := d.ID.(string)
	to, _ := d.To.(string)
	return Document{
		ID: id, OpTime: d.OpTime, Source: d.Source, Raw: raw,
		Effect: Effect{Operation: d.Operation, NS: d.NS, Index: d.Index, To: to},
	}, err
}
