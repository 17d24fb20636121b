package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

const (
	queueName   = "queue"
	historyName = "history"
	readyLine   = "ready"
)

// role is a peer's process: it reads changes and inserts two documents for each.
type role struct {
	uri, database, from string
	// slow delays every change, for the test of the benchmark itself.
	slow time.Duration
}

func (r *role) flags() {
	flag.StringVar(&r.uri, "uri", "", "internal: what the peer reads")
	flag.StringVar(&r.database, "database", "", "internal: where it writes")
	flag.StringVar(&r.from, "from", "0:0", "internal: the timestamp to begin at")
	flag.DurationVar(&r.slow, "slow", 0, "internal: delay every change")
}

func (r *role) run(ctx context.Context, name string) error {
	client, err := mongo.Connect(options.Client().ApplyURI(r.uri))
	if err != nil {
		return err
	}
	defer client.Disconnect(context.WithoutCancel(ctx))
	var from bson.Timestamp
	if _, err := fmt.Sscanf(r.from, "%d:%d", &from.T, &from.I); err != nil {
		return fmt.Errorf("-from: %w", err)
	}
	db := client.Database(r.database)
	out := twoInserts{
		history:  db.Collection(historyName, options.Collection().SetWriteConcern(writeconcern.W1())),
		queue:    db.Collection(queueName, options.Collection().SetWriteConcern(writeconcern.Majority())),
		database: r.database, slow: r.slow,
	}
	switch name {
	case nameFiltered, nameStream:
		return stream(ctx, client, name == nameFiltered, from, out)
	case nameTail:
		return tailOplog(ctx, client, from, out)
	}
	return fmt.Errorf("no peer %q", name)
}

// twoInserts writes a change as ddltail does: history, then queue.
type twoInserts struct {
	history, queue *mongo.Collection
	database       string
	slow           time.Duration
}

func (o twoInserts) put(ctx context.Context, change bson.D) error {
	time.Sleep(o.slow)
	change = append(bson.D{{Key: "_id", Value: bson.NewObjectID()}}, change...)
	if _, err := o.history.InsertOne(ctx, change); err != nil {
		return err
	}
	_, err := o.queue.InsertOne(ctx, change)
	return err
}

// ddlEvents are the operation types of the expanded events.
func ddlEvents() bson.A {
	return bson.A{
		"create", "createIndexes", "drop", "dropDatabase", "dropIndexes", "modify", "rename",
		"shardCollection", "refineCollectionShardKey", "reshardCollection", "invalidate",
	}
}

// stream reads a change stream on the whole deployment, with expanded events.
func stream(ctx context.Context, client *mongo.Client, filtered bool, from bson.Timestamp, out twoInserts) error {
	pipeline := mongo.Pipeline{}
	if filtered {
		pipeline = mongo.Pipeline{bson.D{{Key: "$match", Value: bson.D{
			{Key: "operationType", Value: bson.D{{Key: "$in", Value: ddlEvents()}}}}}}}
	}
	opts := options.ChangeStream().SetShowExpandedEvents(true)
	if !from.IsZero() {
		opts.SetStartAtOperationTime(&from)
	}
	s, err := client.Watch(ctx, pipeline, opts)
	if err != nil {
		return fmt.Errorf("open the change stream: %w", err)
	}
	defer s.Close(context.WithoutCancel(ctx))
	fmt.Println(readyLine)
	for s.Next(ctx) {
		var event bson.M
		if err := bson.Unmarshal(s.Current, &event); err != nil {
			return err
		}
		if !isDDL(event) || namespace(event, "db") == out.database {
			continue
		}
		change := bson.D{
			{Key: "operation", Value: event["operationType"]}, {Key: "database", Value: namespace(event, "db")},
			{Key: "collection", Value: namespace(event, "coll")}, {Key: "detail", Value: event["operationDescription"]},
			{Key: "processed", Value: false},
		}
		if err := out.put(ctx, change); err != nil {
			return err
		}
	}
	return s.Err()
}

func isDDL(event bson.M) bool {
	switch event["operationType"] {
	case "insert", "update", "replace", "delete":
		return false
	}
	return true
}

func namespace(event bson.M, part string) string {
	ns, ok := event["ns"].(bson.D)
	if !ok {
		return ""
	}
	for _, e := range ns {
		if e.Key == part {
			text, _ := e.Value.(string)
			return text
		}
	}
	return ""
}

// tailOplog reads the commands of the oplog with a tailable cursor and decodes each.
func tailOplog(ctx context.Context, client *mongo.Client, from bson.Timestamp, out twoInserts) error {
	oplog := client.Database("local").Collection("oplog.rs")
	if from.IsZero() {
		var newest struct{ TS bson.Timestamp }
		err := oplog.FindOne(ctx, bson.D{}, options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})).Decode(&newest)
		if err != nil {
			return err
		}
		from = newest.TS
	}
	cur, err := oplog.Find(ctx, bson.D{{Key: "ts", Value: bson.D{{Key: "$gte", Value: from}}}, {Key: "op", Value: "c"}},
		options.Find().SetCursorType(options.TailableAwait).SetHint(bson.D{{Key: "$natural", Value: 1}}))
	if err != nil {
		return fmt.Errorf("open the oplog: %w", err)
	}
	defer cur.Close(context.WithoutCancel(ctx))
	fmt.Println(readyLine)
	for cur.Next(ctx) {
		var entry struct {
			NS string
			O  bson.D
		}
		if err := bson.Unmarshal(cur.Current, &entry); err != nil {
			return err
		}
		if len(entry.O) == 0 || entry.NS == out.database+".$cmd" {
			continue
		}
		change := bson.D{{Key: "operation", Value: entry.O[0].Key}, {Key: "collection", Value: entry.O[0].Value},
			{Key: "detail", Value: entry.O}, {Key: "processed", Value: false}}
		if err := out.put(ctx, change); err != nil {
			return err
		}
	}
	return errors.Join(errors.New("the cursor has ended"), cur.Err())
}
