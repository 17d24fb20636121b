package ledger

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

// Oplog reads the changes of a replica set. It tracks the existing views, because one entry can drop all of them without
// naming any.
type Oplog struct {
	client  *mongo.Client
	decoder *Decoder
}

// NewOplog returns the reader of a set without views. The database is that of ddltail's own collections, which are ignored.
func NewOplog(client *mongo.Client, database string) *Oplog {
	return &Oplog{client: client, decoder: NewDecoder(database)}
}

// Read returns the majority-committed changes after one timestamp and up to another, in the order in which they took
// effect, read from the primary.
func (o *Oplog) Read(ctx context.Context, after, upTo bson.Timestamp) ([]Change, error) {
	oplog := o.client.Database("local").Collection("oplog.rs",
		options.Collection().SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary()))
	cursor, err := oplog.Find(ctx, bson.D{
		{Key: "ts", Value: bson.D{{Key: "$gt", Value: after}, {Key: "$lte", Value: upTo}}},
		{Key: "$or", Value: bson.A{
			bson.D{{Key: "op", Value: "c"}},
			bson.D{{Key: "ns", Value: bson.Regex{Pattern: `\.system\.views$`}}},
		}},
	}, options.Find().SetSort(bson.D{{Key: "$natural", Value: 1}}))
	if err != nil {
		return nil, fmt.Errorf("read the oplog: %w", err)
	}
	defer cursor.Close(ctx)
	var changes []Change
	for cursor.Next(ctx) {
		made, err := o.decoder.Decode(cursor.Current)
		if err != nil {
			return nil, fmt.Errorf("decode %.500s: %w", cursor.Current, err)
		}
		changes = append(changes, made...)
	}
	if err := cursor.Err(); err != nil {
		return nil, fmt.Errorf("read the oplog: %w", err)
	}
	return changes, nil
}

// operation is the content of an entry, or one element of an applyOps.
type operation struct {
	Op string   `bson:"op"`
	NS string   `bson:"ns"`
	O  bson.Raw `bson:"o"`
}

// entry is one oplog entry.
type entry struct {
	Operation operation `bson:",inline"`
	OpTime    OpTime    `bson:",inline"`
	Wall      time.Time `bson:"wall"`
	Session   bson.Raw  `bson:"lsid"`
	Number    int64     `bson:"txnNumber"`
}

// transaction names the transaction that an entry belongs to.
func (e entry) transaction() string { return fmt.Sprintf("%s %d", e.Session, e.Number) }

// Decoder derives changes from oplog entries. It must begin where no transaction is open.
type Decoder struct {
	own map[string]bool
	// temporary are collections that the server created for itself.
	temporary map[string]bool
	// views are those of each database: one entry can drop them all.
	views map[string]map[string]bool
	// open are the operations of transactions that have not committed yet.
	open map[string][]operation
}

// NewDecoder returns a decoder. The database is that of ddltail's own collections.
func NewDecoder(database string) *Decoder {
	d := &Decoder{own: map[string]bool{}, temporary: map[string]bool{}, views: map[string]map[string]bool{}, open: map[string][]operation{}}
	for _, name := range []string{"notifications", "history", "catalog", "checkpoints"} {
		d.own[database+".schema_"+name] = true
	}
	return d
}

// Decode returns the changes that take effect with the next entry of the oplog.
//
// A transaction is a chain of applyOps entries, all but the last with partialTxn; a prepared one ends with a
// commitTransaction or an abortTransaction. All of its operations take effect at the last entry.
func (d *Decoder) Decode(raw bson.Raw) ([]Change, error) {
	var e entry
	if err := bson.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	switch command(e.Operation.O) {
	case "applyOps":
		var o struct {
			ApplyOps []operation `bson:"applyOps"`
			Partial  bool        `bson:"partialTxn"`
			Prepare  bool        `bson:"prepare"`
		}
		if err := bson.Unmarshal(e.Operation.O, &o); err != nil {
			return nil, err
		}
		d.open[e.transaction()] = append(d.open[e.transaction()], o.ApplyOps...)
		if o.Partial || o.Prepare {
			return nil, nil
		}
		return d.commit(e)
	case "commitTransaction":
		return d.commit(e)
	case "abortTransaction":
		delete(d.open, e.transaction())
		return nil, nil
	}
	return d.changes(e, e.Operation)
}

func (d *Decoder) commit(e entry) ([]Change, error) {
	operations := d.open[e.transaction()]
	delete(d.open, e.transaction())
	return d.changes(e, operations...)
}

// changes returns the effects of operations that took effect with an entry.
func (d *Decoder) changes(e entry, operations ...operation) ([]Change, error) {
	var changes []Change
	for _, op := range operations {
		effects, err := d.effects(op)
		if err != nil {
			return nil, err
		}
		for _, effect := range effects {
			changes = append(changes, Change{Effect: effect, OpTime: e.OpTime, At: e.Wall, N: len(changes)})
		}
	}
	return changes, nil
}

// command returns the name of the command in an entry.
func command(o bson.Raw) string {
	first, err := o.IndexErr(0)
	if err != nil {
		return ""
	}
	return first.Key()
}
