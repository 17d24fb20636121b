package listener

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/store"
)

const (
	// streamRetryInterval is the time between attempts to open a change stream while
	// polling.
	streamRetryInterval = 5 * time.Second

	codeUnauthorized       = 13
	codeCommandNotFound    = 59
	codeNotSupported       = 115
	codeMajorityNotEnabled = 148
	codeOnlyOnReplicaSets  = 40573
)

// watch wakes up the loop when there may be new notifications: by change stream if the server
// supports it, else each PollInterval. It returns when the context is canceled.
func (l *Listener) watch(ctx context.Context, client *mongo.Client) {
	pause := retry.NewBackOff(maxBackoff)
	for ctx.Err() == nil {
		err := l.follow(ctx, client, pause.Reset)
		if ctx.Err() != nil {
			return
		}
		if reason := noStream(err); reason != "" {
			if l.Status.setMode(Polling) {
				l.Metrics.SetMode(string(Polling))
				l.Log.Info("detecting new notifications by polling",
					zap.Duration("interval", l.PollInterval), zap.String("reason", reason), zap.Error(err))
			}
			l.poll(ctx, max(streamRetryInterval, l.PollInterval))
			continue
		}
		l.Log.Debug("change stream failed, reopening", zap.Error(err))
		l.poll(ctx, pause.NextBackOff())
	}
}

// noStream returns why change streams are not available; empty if the error is transient.
func noStream(err error) string {
	var refused mongo.ServerError
	if !errors.As(err, &refused) {
		return ""
	}
	switch {
	case refused.HasErrorCode(codeOnlyOnReplicaSets):
		return "change streams require a replica set"
	case refused.HasErrorCode(codeUnauthorized):
		return "the user is not authorized to open a change stream"
	case refused.HasErrorCode(codeCommandNotFound), refused.HasErrorCode(codeNotSupported),
		refused.HasErrorCode(codeMajorityNotEnabled):
		return "the server does not support change streams"
	}
	return ""
}

// poll wakes up the loop each PollInterval for the given time.
func (l *Listener) poll(ctx context.Context, length time.Duration) {
	end := time.Now().Add(length)
	for {
		left := time.Until(end)
		if left <= 0 || !retry.Sleep(ctx, min(left, l.PollInterval)) {
			return
		}
		l.wakeUp()
	}
}

// follow notes every event of a change stream until that fails. It creates the queue first,
// which may have been dropped.
func (l *Listener) follow(ctx context.Context, client *mongo.Client, healthy func()) error {
	db, err := store.Database(ctx, client, l.Database)
	if err != nil {
		return err
	}
	if err := Setup(ctx, db, l.Indexes.Ensure); err != nil {
		return err
	}
	stream, err := db.Collection(store.Notifications).Watch(ctx, wakeupEvents())
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateGrace)
		defer cancel()
		// The cursor times out on the server if this fails.
		_ = stream.Close(closing)
	}()
	l.use(db)
	if l.Status.setMode(Streaming) {
		l.Metrics.SetMode(string(Streaming))
		l.Log.Info("detecting new notifications by change stream")
	}
	l.streamOpened()
	for first := true; stream.Next(ctx); first = false {
		healthy()
		l.noteEvent(stream.Current, first)
	}
	return stream.Err()
}

// wakeupEvents selects the events after which there can be notifications to deliver, and
// projects only the resume token, the operation, the time and the _id of the document.
func wakeupEvents() mongo.Pipeline {
	return mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "$or", Value: bson.A{
			bson.D{{Key: "operationType", Value: bson.D{{Key: "$in", Value: bson.A{"insert", "replace"}}}}},
			bson.D{{Key: "updateDescription.updatedFields.processed", Value: false}},
			bson.D{{Key: "updateDescription.removedFields", Value: "processed"}},
			bson.D{{Key: "operationType", Value: bson.D{{Key: "$in", Value: bson.A{"drop", "rename", "dropDatabase", "invalidate"}}}}},
		}}}}},
		{{Key: "$project", Value: bson.D{{Key: "operationType", Value: 1}, {Key: "clusterTime", Value: 1}, {Key: "documentKey._id", Value: 1}}}},
	}
}
