package mongotest

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// admin runs a command on the database admin of this member, as the internal user.
func (m *Member) admin(ctx context.Context, command bson.D, result any) error {
	return run(ctx, m.key.login(m.direct()), command, result)
}

// RotateLog makes the server rename its log and begin a new one. It needs [Options.LogFile].
func (m *Member) RotateLog(ctx context.Context) error {
	return m.admin(ctx, bson.D{{Key: "logRotate", Value: 1}}, nil)
}

// run runs one command on the database admin over a new connection, which is closed when it returns. A nil result is not
// decoded.
func run(ctx context.Context, u uri, command bson.D, result any) (err error) {
	o := options.Client().ApplyURI(u.String()).SetBSONOptions(&options.BSONOptions{DefaultDocumentM: true})
	client, err := mongo.Connect(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disconnect(client)) }()
	reply := client.Database("admin").RunCommand(ctx, command)
	if result == nil {
		return reply.Err()
	}
	return reply.Decode(result)
}

// disconnect disconnects with a short timeout for endSessions, because the server may be stopped or
// paused.
func disconnect(client *mongo.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	return client.Disconnect(ctx)
}
