package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

// ReadWrites returns all writes to ddltail's own collections after a timestamp, in the order of their deployment's oplog; the
// order in a collection can differ, because secondaries apply a batch in any order. Notifications whose insert is in no oplog (on
// a standalone, or truncated) are first, in the order in which the collection returns them.
func ReadWrites(ctx context.Context, client *mongo.Client, database string, after bson.Timestamp) ([]Write, error) {
	logged, err := loggedWrites(ctx, client, database, after)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, w := range logged {
		if w.Action == Insert {
			known[w.Sink+" "+w.ID] = true
		}
	}
	var writes []Write
	for _, sink := range []string{History, Queue} {
		stored, err := ReadPublished(ctx, client.Database(database).Collection(collectionOf(sink)))
		if err != nil {
			return nil, err
		}
		for _, d := range stored {
			if !known[sink+" "+d.ID] {
				writes = append(writes, Write{Sink: sink, Action: Insert, ID: d.ID, Document: d.Raw})
			}
		}
	}
	return append(writes, logged...), nil
}

// collectionOf returns the name of a sink's collection.
func collectionOf(sink string) string {
	if sink == Queue {
		return "schema_notifications"
	}
	return "schema_" + sink
}

// sinkOf returns the sink of a collection; empty if it has none.
func sinkOf(collection string) string {
	for _, sink := range []string{Queue, History, Catalog, Checkpoints} {
		if collection == collectionOf(sink) {
			return sink
		}
	}
	return ""
}

func loggedWrites(ctx context.Context, client *mongo.Client, database string, after bson.Timestamp) ([]Write, error) {
	oplog := client.Database("local").Collection("oplog.rs",
		options.Collection().SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary()))
	own := bson.Regex{Pattern: "^" + database + `\.(schema_|\$cmd$)`}
	cursor, err := oplog.Find(ctx, bson.D{
		{Key: "ts", Value: bson.D{{Key: "$gt", Value: after}}},
		{Key: "$or", Value: bson.A{
			bson.D{{Key: "op", Value: bson.D{{Key: "$in", Value: bson.A{"i", "u", "d", "c"}}}}, {Key: "ns", Value: own}},
			bson.D{{Key: "op", Value: "c"}, {Key: "o.applyOps.ns", Value: own}},
		}},
	}, options.Find().SetSort(bson.D{{Key: "$natural", Value: 1}}))
	if err != nil {
		return nil, fmt.Errorf("read the writes to %s: %w", database, err)
	}
	defer cursor.Close(ctx)
	var writes []Write
	for cursor.Next(ctx) {
		of, err := writesOf(cursor.Current, database)
		if err != nil {
			return nil, fmt.Errorf("decode %.500s: %w", cursor.Current, err)
		}
		writes = append(writes, of...)
	}
	if err := cursor.Err(); err != nil {
		return nil, fmt.Errorf("read the writes to %s: %w", database, err)
	}
	return writes, nil
}

// logged is an oplog entry, or one element of an applyOps, that writes to a collection.
type logged struct {
	Op   string         `bson:"op"`
	NS   string         `bson:"ns"`
	O    bson.Raw       `bson:"o"`
	O2   bson.Raw       `bson:"o2"`
	TS   bson.Timestamp `bson:"ts"`
	Wall time.Time      `bson:"wall"`
}

// writesOf returns the writes of one entry to ddltail's own collections.
func writesOf(raw bson.Raw, database string) ([]Write, error) {
	var e logged
	if err := bson.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	all := []logged{e}
	if e.Op == "c" && command(e.O) == "applyOps" {
		var o struct {
			ApplyOps []logged `bson:"applyOps"`
		}
		if err := bson.Unmarshal(e.O, &o); err != nil {
			return nil, err
		}
		all = o.ApplyOps
	}
	var writes []Write
	for _, one := range all {
		db, coll, _ := strings.Cut(one.NS, ".")
		if db != database {
			continue
		}
		w, ok := one.write(coll)
		if w.Written, w.At = e.TS, e.Wall; ok {
			writes = append(writes, w)
		}
	}
	return writes, nil
}

// write returns the operation as a Write; ok is false if it is none of the Actions.
func (l logged) write(coll string) (Write, bool) {
	if l.Op == "c" {
		return l.drop()
	}
	w := Write{Sink: sinkOf(coll)}
	w.ID, _ = l.O.Lookup("_id").StringValueOK()
	switch {
	case w.Sink == "":
		return w, false
	case l.Op == "d":
		w.Action = Remove
		return w, true
	case l.Op == "u":
		w.ID, _ = l.O2.Lookup("_id").StringValueOK()
		return w.update(l.O)
	case w.Sink == Checkpoints:
		return w.update(l.O)
	case w.Sink == Catalog:
		w.Action, w.Position = Insert, position(l.O.Lookup("optime"))
		w.Listed, _ = l.O.Lookup("listed").BooleanOK()
		return w, true
	}
	w.Action, w.Document = Insert, l.O
	_, err := l.O.LookupErr("operation")
	return w, err == nil
}

// drop returns the Write of a command that drops or renames a collection.
func (l logged) drop() (Write, bool) {
	name := command(l.O)
	target, _ := l.O.Lookup(name).StringValueOK()
	if name == "renameCollection" {
		_, target, _ = strings.Cut(target, ".")
	} else if name != "drop" {
		return Write{}, false
	}
	sink := sinkOf(target)
	return Write{Sink: sink, Action: Drop}, sink != ""
}

// update returns the Write of an update, or of the insert of a checkpoint.
func (w Write) update(o bson.Raw) (Write, bool) {
	if w.Sink == Checkpoints {
		at := position(updated(o, "optime"))
		if ts := updated(o, "optime", "ts"); at.IsZero() {
			at.TS = timestamp(ts)
			at.Term, _ = updated(o, "optime", "t").AsInt64OK()
		}
		w.Action, w.Position = Advance, at
		w.Inclusive, _ = updated(o, "inclusive").BooleanOK()
		return w, !at.TS.IsZero()
	}
	w.Action = Process
	processed, _ := updated(o, "processed").BooleanOK()
	return w, w.Sink == Queue && processed
}

// updated returns the new value of a field in an entry's o: a whole document, a $set of servers up to 4.4, or a diff, in which u are
// updated fields, i inserted ones, and s with a name a diff of that field.
func updated(o bson.Raw, path ...string) bson.RawValue {
	if diff, ok := o.Lookup("diff").DocumentOK(); ok {
		for _, field := range path[:len(path)-1] {
			if diff, ok = diff.Lookup("s" + field).DocumentOK(); !ok {
				return bson.RawValue{}
			}
		}
		last := path[len(path)-1]
		for _, kind := range []string{"u", "i"} {
			if v, err := diff.LookupErr(kind, last); err == nil {
				return v
			}
		}
		return bson.RawValue{}
	}
	if set, ok := o.Lookup("$set").DocumentOK(); ok {
		if v, err := set.LookupErr(strings.Join(path, ".")); err == nil {
			return v
		}
		o = set
	}
	return o.Lookup(path...)
}

func position(v bson.RawValue) OpTime {
	var at OpTime
	if doc, ok := v.DocumentOK(); ok {
		at.TS = timestamp(doc.Lookup("ts"))
		at.Term, _ = doc.Lookup("t").AsInt64OK()
	}
	return at
}

func timestamp(v bson.RawValue) bson.Timestamp {
	t, i, _ := v.TimestampOK()
	return bson.Timestamp{T: t, I: i}
}
