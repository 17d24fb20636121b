package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/mongotest"
)

const (
	// markPoll is how often the queue is read for the last change.
	markPoll = 5 * time.Millisecond
	// newestRead is how many of the newest documents are searched: others can follow the change.
	newestRead = 200
	// queueLimit bounds the wait for the last change.
	queueLimit = 10 * time.Minute
)

// site is the replica set of one workload, with a client.
type site struct {
	set    *mongotest.ReplicaSet
	client *mongo.Client
	// databases counts those that were assigned to peers.
	databases int
}

// withSite starts a replica set, runs a workload and stops the set.
func withSite(ctx context.Context, o mongotest.Options, do func(*site) error) (err error) {
	starting, cancel := context.WithTimeout(ctx, setLimit)
	defer cancel()
	set, err := mongotest.StartReplicaSet(starting, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Stop()) }()
	client, err := mongo.Connect(options.Client().ApplyURI(set.URI()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Disconnect(context.WithoutCancel(ctx))) }()
	return do(&site{set: set, client: client})
}

// target returns a new database for a peer.
func (s *site) target() target {
	s.databases++
	return target{uri: s.set.URI(), database: fmt.Sprintf("peer%d", s.databases)}
}

// head returns the newest timestamp of the oplog.
func (s *site) head(ctx context.Context) (bson.Timestamp, error) {
	var newest struct{ TS bson.Timestamp }
	err := s.client.Database("local").Collection("oplog.rs").
		FindOne(ctx, bson.D{}, options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})).Decode(&newest)
	return newest.TS, err
}

// version returns the server's release.
func (s *site) version(ctx context.Context) (string, error) {
	var info struct{ Version string }
	err := s.client.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info)
	return info.Version, err
}

// waitQueued waits until a change of a collection is among the newest of a peer's queue.
func (s *site) waitQueued(ctx context.Context, t target, queue, collection string) error {
	ctx, cancel := context.WithTimeout(ctx, queueLimit)
	defer cancel()
	for {
		found, err := s.isQueued(ctx, t, queue, collection)
		if err != nil {
			return fmt.Errorf("wait for %s in %s.%s: %w", collection, t.database, queue, err)
		}
		if found {
			return nil
		}
		time.Sleep(markPoll)
	}
}

// isQueued reads only the newest documents: the queue has no index on the collection.
func (s *site) isQueued(ctx context.Context, t target, queue, collection string) (bool, error) {
	cur, err := s.client.Database(t.database).Collection(queue).Find(ctx, bson.D{}, options.Find().
		SetSort(bson.D{{Key: "$natural", Value: -1}}).SetLimit(newestRead).SetProjection(bson.D{{Key: "collection", Value: 1}}))
	if err != nil {
		return false, err
	}
	var newest []struct{ Collection string }
	if err := cur.All(ctx, &newest); err != nil {
		return false, err
	}
	for _, document := range newest {
		if document.Collection == collection {
			return true, nil
		}
	}
	return false, nil
}

// prepare returns a target in which a first run of ddltail has saved the current position.
func (s *site) prepare(ctx context.Context, ddltail peer) (target, error) {
	t := s.target()
	err := ddltail.with(ctx, t, started)
	return t, err
}

// copyOf returns a target with a copy of ddltail's collections in another.
func (s *site) copyOf(ctx context.Context, from target) (target, error) {
	t := s.target()
	db := s.client.Database(from.database)
	names, err := db.ListCollectionNames(ctx, bson.D{})
	if err != nil {
		return t, err
	}
	for _, name := range names {
		out := bson.D{{Key: "$out", Value: bson.D{{Key: "db", Value: t.database}, {Key: "coll", Value: name}}}}
		if _, err := db.Collection(name).Aggregate(ctx, mongo.Pipeline{out}); err != nil {
			return t, fmt.Errorf("copy %s.%s: %w", from.database, name, err)
		}
	}
	return t, nil
}
