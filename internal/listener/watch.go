package listener

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/sink"
)

const (
	// streamEvery is how often a change stream is tried where there was none.
	streamRetryInterval = 5 * time.Second

	codeUnauthorized       = 13
	codeCommandNotFound    = 59
	codeNotSupported       = 115
	codeMajorityNotEnabled = 148
	codeOnlyOnReplicaSets  = 40573
)

// watch says when there may be something new: by change stream where the server has
// one, else each PollInterval. It returns when the context ends.
func (l *Listener) watch(ctx context.Context, client *mongo.Client, wake func()) {
	pause := retry.NewBackOff(maxBackoff)
	for ctx.Err() == nil {
		err := l.follow(ctx, client, wake, pause.Reset)
		if ctx.Err() != nil {
			return
		}
		if reason := noStream(err); reason != "" {
			if l.Status.setMode(Polling) {
				l.Metrics.SetMode(string(Polling))
				l.Log.Info("new notifications are looked for by polling",
					zap.Duration("interval", l.PollInterval), zap.String("because", reason), zap.Error(err))
			}
			l.poll(ctx, max(streamRetryInterval, l.PollInterval), wake)
			continue
		}
		l.Log.Debug("the change stream has to be opened again", zap.Error(err))
		l.poll(ctx, pause.NextBackOff(), wake)
	}
}

// noStream says why a server has no change stream for this user; empty where the
// error is one that passes.
func noStream(err error) string {
	var refused mongo.ServerError
	if !errors.As(err, &refused) {
		return ""
	}
	switch {
	case refused.HasErrorCode(codeOnlyOnReplicaSets):
		return "the server is no replica set, and only those have change streams"
	case refused.HasErrorCode(codeUnauthorized):
		return "the user may not open a change stream"
	case refused.HasErrorCode(codeCommandNotFound), refused.HasErrorCode(codeNotSupported),
		refused.HasErrorCode(codeMajorityNotEnabled):
		return "the server has no change streams"
	}
	return ""
}

// poll wakes each PollInterval for a while, and once at its end.
func (l *Listener) poll(ctx context.Context, length time.Duration, wake func()) {
	end := time.Now().Add(length)
	for {
		left := time.Until(end)
		if left <= 0 || !retry.Sleep(ctx, min(left, l.PollInterval)) {
			return
		}
		wake()
	}
}

// follow wakes at every event of a change stream until that breaks. It makes the
// queue anew, which may have been dropped.
func (l *Listener) follow(ctx context.Context, client *mongo.Client, wake, healthy func()) error {
	db, err := sink.Database(ctx, client, l.Database)
	if err != nil {
		return err
	}
	if err := Setup(ctx, db); err != nil {
		return err
	}
	stream, err := db.Collection(sink.Notifications).Watch(ctx, wakeupEvents())
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateGrace)
		defer cancel()
		// The server forgets the stream by itself if this fails.
		_ = stream.Close(closing)
	}()
	l.use(db)
	if l.Status.setMode(Streaming) {
		l.Metrics.SetMode(string(Streaming))
		l.Log.Info("new notifications are looked for by change stream", zap.String("because", "the server has one"))
	}
	wake()
	for stream.Next(ctx) {
		healthy()
		wake()
	}
	return stream.Err()
}

// occasions selects the events after which there can be something to hand over, and
// asks for nothing of them.
func wakeupEvents() mongo.Pipeline {
	return mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "$or", Value: bson.A{
			bson.D{{Key: "operationType", Value: bson.D{{Key: "$in", Value: bson.A{"insert", "replace"}}}}},
			bson.D{{Key: "updateDescription.updatedFields.processed", Value: false}},
			bson.D{{Key: "updateDescription.removedFields", Value: "processed"}},
			bson.D{{Key: "operationType", Value: bson.D{{Key: "$in", Value: bson.A{"drop", "rename", "dropDatabase", "invalidate"}}}}},
		}}}}},
		{{Key: "$project", Value: bson.D{{Key: "_id", Value: 1}}}},
	}
}
