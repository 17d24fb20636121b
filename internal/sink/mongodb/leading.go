package mongodb

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
)

// maxLeadingBytes bounds a write by one command, which may not be larger than 16 MB.
const maxLeadingBytes = 8 << 20

// leading are documents that the primary has acknowledged, before a majority of the members
// has them.
type leading struct {
	docs []notification.Document
	at   position
}

// position is where a primary has written: within a term, all members have the writes of its one
// primary in the same order. A write that a majority acknowledges after another one of the same
// term makes that one durable, too.
type position struct {
	TS   bson.Timestamp `bson:"ts"`
	Term int64          `bson:"t"`
}

// covers reports whether the acknowledgement of p by a majority is one of q.
func (p position) covers(q position) bool { return p.Term == q.Term && !p.TS.Before(q.TS) }

// pair returns the history and the queue of one deployment. The queue's acknowledgement by a
// majority covers the history's documents, which are written before.
func pair(name string) (history, queue *Collection) {
	history, queue = newHistory(), newQueue(name)
	history.follower, queue.leader = queue, history
	return history, queue
}

// WriteLeading is Write for documents that the sink next receives in its next Write: if that is the
// queue of the same replica set, it returns once the primary has the documents, and the next
// Write of the queue makes them durable.
func (c *Collection) WriteLeading(ctx context.Context, docs []notification.Document, next sink.Sink) error {
	if !c.ordered || next != sink.Sink(c.follower) {
		return c.Write(ctx, docs)
	}
	c.leading = leading{}
	at, err := c.insert(ctx, docs, bson.D{{Key: "w", Value: 1}})
	if err != nil {
		// The documents may be stored, or the server refuses one: Write finds out which.
		return c.Write(ctx, docs)
	}
	c.leading = leading{docs, at}
	return nil
}

// writeFollowing writes to the queue the documents that follow those of the history, and makes
// both durable. The history's documents are kept until then: after an error it is called again.
func (c *Collection) writeFollowing(ctx context.Context, docs []notification.Document) error {
	at, err := c.insert(ctx, docs, bson.D{{Key: "w", Value: "majority"}, {Key: "j", Value: true}})
	if err != nil || !at.covers(c.leader.leading.at) {
		// Another primary may have rolled the history's documents back.
		if err := c.leader.write(ctx, c.leader.leading.docs); err != nil {
			return err
		}
	}
	c.leader.leading = leading{}
	if err != nil {
		return c.write(ctx, docs)
	}
	return nil
}

// insert writes documents by one command without retries, and returns the position of the
// write. It fails for documents that are already stored.
func (c *Collection) insert(ctx context.Context, docs []notification.Document, concern bson.D) (position, error) {
	rendered := make(bson.A, len(docs))
	size := 0
	for i, d := range docs {
		doc, err := bson.Marshal(c.render(d))
		if err != nil {
			return position{}, fmt.Errorf("render the document %s: %w", d.ID, err)
		}
		if size += len(doc); size > maxLeadingBytes || i == maxInsert {
			return position{}, errors.New("too large for one command")
		}
		rendered[i] = bson.Raw(doc)
	}
	var reply struct {
		N                 int      `bson:"n"`
		OpTime            position `bson:"opTime"`
		WriteErrors       bson.A   `bson:"writeErrors"`
		WriteConcernError bson.Raw `bson:"writeConcernError"`
	}
	err := c.own.Database.RunCommand(ctx, bson.D{
		{Key: "insert", Value: c.collection}, {Key: "documents", Value: rendered}, {Key: "writeConcern", Value: concern},
	}).Decode(&reply)
	switch {
	case err != nil:
		return position{}, fmt.Errorf("insert into %s: %w", c.namespace(), err)
	case reply.N != len(docs) || len(reply.WriteErrors) > 0 || reply.WriteConcernError != nil:
		return position{}, fmt.Errorf("insert into %s: %d of %d documents", c.namespace(), reply.N, len(docs))
	case reply.OpTime.Term <= 0:
		return position{}, fmt.Errorf("insert into %s: the reply has no term", c.namespace())
	}
	return reply.OpTime, nil
}
