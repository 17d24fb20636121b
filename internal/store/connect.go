package store

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

const (
	selectionTimeout = 5 * time.Second
	// codeMajorityDisabled is the error of a server up to 4.4 that was started without
	// majority reads.
	codeMajorityDisabled = 148
)

// Connect creates the client for ddltail's own collections. Regardless of the URI, it writes
// with write concern majority and journaling, and reads from the primary, so that nothing it
// has written or read is rolled back. Majority alone is not sufficient on a standalone server:
// up to 4.4 it acknowledges writes that are lost when it is killed.
func Connect(opts *options.ClientOptions) (*mongo.Client, error) {
	durable := writeconcern.Majority()
	journal := true
	durable.Journal = &journal
	opts.SetWriteConcern(durable).
		SetReadPreference(readpref.Primary()).
		SetServerSelectionTimeout(selectionTimeout)
	opts.ReadConcern = nil
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, fmt.Errorf("connect to the sink: %w", err)
	}
	return client, nil
}

// Database waits for the deployment's primary and returns the database of ddltail's
// collections, with read concern majority on a replica set.
func Database(ctx context.Context, client *mongo.Client, name string) (*mongo.Database, error) {
	var hello struct {
		SetName string `bson:"setName"`
		Msg     string `bson:"msg"`
	}
	ctx, cancel := context.WithTimeout(ctx, 2*selectionTimeout)
	defer cancel()
	err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	if err != nil {
		return nil, fmt.Errorf("reach the sink's primary: %w", err)
	}
	if hello.SetName == "" && hello.Msg != "isdbgrid" {
		return client.Database(name), nil
	}
	db := client.Database(name, options.Database().SetReadConcern(readconcern.Majority()))
	// Other errors are reported when the collection is used.
	if err := db.Collection(Checkpoints).FindOne(ctx, bson.D{}).Err(); hasCode(err, codeMajorityDisabled) {
		return nil, fmt.Errorf("read from the sink: %w", err)
	}
	return db, nil
}
