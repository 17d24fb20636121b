// Package getlog reads a member's log by the command getLog, which returns the last 1,024 lines from memory, and the users of its
// connections by $currentOp. The client must have a direct connection to the member.
package getlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/actor"
)

// Reader reads what was logged since its last call.
type Reader struct {
	Client *mongo.Client

	process bson.ObjectID
	ring    ring
}

// Batch is what one call found.
type Batch struct {
	Lines []string
	// Missed is the number of lines that the ring lost before these.
	Missed int64
	// Restarted reports that these lines are another server process's than those before.
	Restarted bool
}

// ring determines which lines of a reply are new. The zero value has read nothing.
type ring struct {
	total int64
	begun bool
}

// next returns the lines that were written since the last reply, and how many more were missed.
func (r *ring) next(total int64, lines []string) ([]string, int64) {
	written := total - r.total
	begun := r.begun
	r.total, r.begun = total, true
	switch {
	case !begun:
		return lines, max(0, written-int64(len(lines)))
	case written < 0: // not one process: nothing connects the replies
		return lines, 1
	case written > int64(len(lines)):
		return lines, written - int64(len(lines))
	}
	return lines[int64(len(lines))-written:], 0
}

type hello struct {
	Primary  bool          `bson:"isWritablePrimary"`
	Election bson.ObjectID `bson:"electionId"`
	Topology struct {
		Process bson.ObjectID `bson:"processId"`
	} `bson:"topologyVersion"`
}

// term is in the last eight bytes of the electionId.
func (h hello) term() int64 { return int64(binary.BigEndian.Uint64(h.Election[4:])) } //nolint:gosec // a term is never negative

func (r *Reader) hello(ctx context.Context) (h hello, err error) {
	if err := r.Client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&h); err != nil {
		return h, fmt.Errorf("read the state of the member (hello): %w", err)
	}
	return h, nil
}

// Read returns the lines that were logged since the last call.
func (r *Reader) Read(ctx context.Context) (b Batch, err error) {
	h, err := r.hello(ctx)
	if err != nil {
		return b, err
	}
	var reply struct {
		Total int64    `bson:"totalLinesWritten"`
		Lines []string `bson:"log"`
	}
	if err := r.Client.Database("admin").RunCommand(ctx, bson.D{{Key: "getLog", Value: "global"}}).Decode(&reply); err != nil {
		return b, fmt.Errorf("read the log of the member (getLog): %w", err)
	}
	// A restart between the two commands shows in a second hello.
	after, err := r.hello(ctx)
	if err != nil {
		return b, err
	}
	if h.Topology.Process != after.Topology.Process {
		return b, errors.New("the member restarted while its log was read: retry")
	}
	if h.Topology.Process != r.process {
		b.Restarted = !r.process.IsZero()
		r.process, r.ring = h.Topology.Process, ring{}
	}
	b.Lines, b.Missed = r.ring.next(reply.Total, reply.Lines)
	return b, nil
}

// operation is a connection as $currentOp describes it, projected on the server so that no command crosses the network.
type operation struct {
	Description string `bson:"desc"`
	Client      string `bson:"client"`
	App         string `bson:"appName"`
	Metadata    struct {
		Driver struct {
			Name    string `bson:"name"`
			Version string `bson:"version"`
		} `bson:"driver"`
		Mongos bson.Raw `bson:"mongos"`
	} `bson:"clientMetadata"`
	Users []struct {
		User string `bson:"user"`
		DB   string `bson:"db"`
	} `bson:"effectiveUsers"`
}

func (o operation) connection() actor.Connection {
	c := actor.Connection{
		Name: o.Description, Client: o.Client, App: o.App, Mongos: len(o.Metadata.Mongos) > 0,
		Driver: strings.TrimSpace(o.Metadata.Driver.Name + " " + o.Metadata.Driver.Version),
	}
	for _, user := range o.Users {
		c.Users = append(c.Users, user.User+"@"+user.DB)
	}
	return c
}

// State returns what the member says of itself and of its connections.
func (r *Reader) State(ctx context.Context) (s actor.State, err error) {
	h, err := r.hello(ctx)
	if err != nil {
		return s, err
	}
	if h.Topology.Process != r.process {
		return s, errors.New("the member restarted since its log was read: retry")
	}
	cursor, err := r.Client.Database("admin").Aggregate(ctx, mongo.Pipeline{
		{{Key: "$currentOp", Value: bson.D{{Key: "allUsers", Value: true}, {Key: "idleConnections", Value: true}}}},
		{{Key: "$match", Value: bson.D{{Key: "desc", Value: bson.D{{Key: "$regex", Value: "^conn[0-9]+$"}}}}}},
		{{Key: "$project", Value: bson.D{
			{Key: "desc", Value: 1}, {Key: "client", Value: 1}, {Key: "appName", Value: 1},
			{Key: "clientMetadata.driver", Value: 1}, {Key: "clientMetadata.mongos", Value: 1}, {Key: "effectiveUsers", Value: 1},
		}}},
	})
	if err != nil {
		return s, fmt.Errorf("read the connections of the member ($currentOp): %w", err)
	}
	var operations []operation
	if err := cursor.All(ctx, &operations); err != nil {
		return s, fmt.Errorf("read the connections of the member ($currentOp): %w", err)
	}
	after, err := r.hello(ctx)
	if err != nil {
		return s, err
	}
	if after.Topology.Process != r.process {
		return s, errors.New("the member restarted while its connections were read: retry")
	}
	s.Primary, s.Term = h.Primary && after.Primary && h.Election == after.Election, h.term()
	for _, o := range operations {
		s.Connections = append(s.Connections, o.connection())
	}
	return s, nil
}
