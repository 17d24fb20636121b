package receivers

import (
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
)

// Samples returns one notification of each operation, for tests of a receiver.
func Samples(now time.Time) []Notification {
	var all []Notification
	for _, o := range notification.Operations() {
		sample, err := Sample(o, now)
		if err == nil {
			all = append(all, sample)
		}
	}
	return all
}

// Sample returns a notification of an operation.
func Sample(o notification.Operation, now time.Time) (Notification, error) {
	at := oplog.OpTime{TS: bson.Timestamp{T: uint32(now.Unix()), I: 1}, Term: 1}
	origin := notification.Origin{Source: "test", ReplicaSet: "test"}
	c := sampleChange(o)
	c.OpTime, c.Wall = at, now
	doc := notification.NewDocument(c, origin, now)
	if o == notification.HistoryGap {
		from := oplog.Moment{OpTime: at, Wall: now.Add(-time.Hour)}
		doc = notification.NewGap(notification.Interval{From: from, To: oplog.Moment{OpTime: at, Wall: now}}, origin, now)
	}
	raw, err := bson.Marshal(doc.Notification())
	if err != nil {
		return Notification{}, fmt.Errorf("encode a sample of %s: %w", o, err)
	}
	return Notification{ID: "test-" + doc.ID, Document: raw, Test: true}, nil
}

// sampleChange returns a change with the fields that such changes usually have.
func sampleChange(o notification.Operation) notification.Change {
	const collection, db = "ddltail_test", "db.getSiblingDB('test')."
	c := notification.Change{
		Operation: o, Database: "test", Collection: collection, Statement: "[test] " + string(o) + " " + collection,
	}
	here := db + "getCollection('" + collection + "')."
	spec := rawOf(bson.D{{Key: "key", Value: bson.D{{Key: "amount", Value: 1}}}, {Key: "name", Value: "amount_idx"}})
	switch o {
	case notification.CreateCollection:
		c.Mongosh, c.After = db+"createCollection('"+collection+"')", rawOf(bson.D{})
	case notification.DropCollection:
		c.Mongosh, c.Before = here+"drop()", rawOf(bson.D{})
	case notification.CreateIndex:
		c.IndexName, c.Mongosh, c.After = "amount_idx", here+"createIndex({amount: 1}, {name: 'amount_idx'})", spec
		c.Undo = here + "dropIndex('amount_idx')"
	case notification.DropIndex:
		c.IndexName, c.Mongosh, c.Before = "amount_idx", here+"dropIndex('amount_idx')", spec
		c.Undo = here + "createIndex({amount: 1}, {name: 'amount_idx'})"
	case notification.ModifyCollection:
		c.Mongosh = db + "runCommand({collMod: '" + collection + "', validationAction: 'warn'})"
		c.Before = rawOf(bson.D{{Key: "validationAction", Value: "error"}})
		c.After = rawOf(bson.D{{Key: "validationAction", Value: "warn"}})
	case notification.RenameCollection:
		c.To, c.Mongosh = "test.ddltail_test_2", here+"renameCollection('ddltail_test_2')"
	case notification.AbortIndexBuild:
		c.IndexName = "amount_idx"
	case notification.DropDatabase:
		c.Collection, c.Collections, c.Mongosh = "", []string{collection}, db+"dropDatabase()"
	case notification.UnknownCommand:
		c.Command = rawOf(bson.D{{Key: "newCommand", Value: collection}})
	}
	return c
}

func rawOf(doc bson.D) bson.Raw {
	raw, err := bson.Marshal(doc)
	if err != nil {
		return nil
	}
	return raw
}
