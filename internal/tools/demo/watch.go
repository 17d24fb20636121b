package main

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// patience is how long the demo waits for a notification.
const patience = 15 * time.Second

// notification has the fields that a consumer reads.
type notification struct {
	Operation  string `bson:"operation"`
	Collection string `bson:"collection"`
	Index      string `bson:"index_name"`
	Statement  string `bson:"operation_statement"`
	readable   time.Time
}

func (n notification) summary() string {
	s := n.Operation
	for _, name := range []string{n.Collection, n.Index} {
		if name != "" {
			s += " " + name
		}
	}
	return s
}

// watcher is a typical consumer of the queue. It uses a change stream, which returns a document when
// it is majority-committed.
type watcher struct {
	stream *mongo.ChangeStream
}

func watch(ctx context.Context, db *mongo.Database) (*watcher, error) {
	inserts := mongo.Pipeline{{{Key: "$match", Value: bson.D{{Key: "operationType", Value: "insert"}}}}}
	stream, err := db.Collection("schema_notifications").Watch(ctx, inserts)
	if err != nil {
		return nil, fmt.Errorf("watch schema_notifications: %w", err)
	}
	return &watcher{stream: stream}, nil
}

func (w *watcher) next(ctx context.Context) (notification, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if !w.stream.Next(ctx) {
		return notification{}, fmt.Errorf("no notification within %s: %w", patience, w.stream.Err())
	}
	readable := time.Now()
	var event struct {
		Document notification `bson:"fullDocument"`
	}
	if err := w.stream.Decode(&event); err != nil {
		return notification{}, fmt.Errorf("decode a notification: %w", err)
	}
	event.Document.readable = readable
	return event.Document, nil
}

func (w *watcher) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// The tour is over; the server closes the stream later.
	_ = w.stream.Close(ctx)
}
