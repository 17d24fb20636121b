// Package getlog reads a member's log by the command getLog, which returns the last 1,024 lines from memory, and the users of its
// connections by $currentOp. The client must have a direct connection to the member.
package getlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/actor"
)

// Reader reads the lines that were logged since its last call. Client must be set.
type Reader struct {
	Client *mongo.Client

	process bson.ObjectID
	ring    ring
}

// Batch is the result of one call.
type Batch struct {
	Lines []string
	// Missed is the number of lines before these that were overwritten in the ring buffer.
	Missed int64
	// First reports that no lines were read before.
	First bool
	// Restarted reports that these lines are from another server process than earlier ones.
	Restarted bool
	// Until is the server's clock before these lines were read: every earlier line has been returned.
	Until time.Time
	// Ring is how many lines the ring buffer held.
	Ring int
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
	case written < 0: // another process: the replies are unrelated
		return lines, 1
	case written > int64(len(lines)):
		return lines, written - int64(len(lines))
	}
	return lines[int64(len(lines))-written:], 0
}

type hello struct {
	Primary  bool          `bson:"isWritablePrimary"`
	Clock    time.Time     `bson:"localTime"`
	Wire     int           `bson:"maxWireVersion"`
	Election bson.ObjectID `bson:"electionId"`
	Topology struct {
		Process bson.ObjectID `bson:"processId"`
	} `bson:"topologyVersion"`
}

// term returns the term, which is in the last eight bytes of the electionId.
func (h hello) term() int64 { return int64(binary.BigEndian.Uint64(h.Election[4:])) } //nolint:gosec // a term is never negative

func readHello(ctx context.Context, client *mongo.Client) (h hello, err error) {
	if err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&h); err != nil {
		return h, fmt.Errorf("read the state of the member (hello): %w", err)
	}
	return h, nil
}

// Read returns the lines that were logged since the last call.
func (r *Reader) Read(ctx context.Context) (b Batch, err error) {
	h, err := readHello(ctx, r.Client)
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
	// A second hello detects a restart between the two commands.
	after, err := readHello(ctx, r.Client)
	if err != nil {
		return b, err
	}
	if h.Topology.Process != after.Topology.Process {
		return b, errRestarted
	}
	if h.Topology.Process != r.process {
		b.Restarted = !r.process.IsZero()
		r.process, r.ring = h.Topology.Process, ring{}
	}
	b.First, b.Until, b.Ring = !r.ring.begun && !b.Restarted, h.Clock, len(reply.Lines)
	b.Lines, b.Missed = r.ring.next(reply.Total, reply.Lines)
	return b, nil
}

// operation is a connection in $currentOp, projected on the server so that commands are not transferred.
type operation struct {
	Description string `bson:"desc"`
	Client      string `bson:"client"`
	App         string `bson:"appName"`
	Metadata    struct {
		Application struct {
			Name string `bson:"name"`
		} `bson:"application"`
		Driver struct {
			Name    string `bson:"name"`
			Version string `bson:"version"`
		} `bson:"driver"`
		Mongos bson.Raw `bson:"mongos"`
	} `bson:"clientMetadata"`
	Users []user `bson:"effectiveUsers"`
	// RunBy has the connection's own users while a command runs for others: then Users and the metadata are those of a client of the mongos.
	RunBy []user `bson:"runBy"`
}

type user struct {
	User string `bson:"user"`
	DB   string `bson:"db"`
}

func (o operation) connection() actor.Connection {
	c := actor.Connection{
		Name: o.Description, Client: o.Client, App: o.App, Mongos: len(o.Metadata.Mongos) > 0,
		Driver: strings.TrimSpace(o.Metadata.Driver.Name + " " + o.Metadata.Driver.Version),
	}
	if o.Metadata.Application.Name != "" { // preferred: newer servers escape characters in appName
		c.App = o.Metadata.Application.Name
	}
	users := o.Users
	if len(o.RunBy) > 0 {
		users, c.App, c.Driver = o.RunBy, "", ""
	}
	for _, user := range users {
		c.Users = append(c.Users, user.User+"@"+user.DB)
	}
	return c
}

// State returns the state of the member and of its connections.
func (r *Reader) State(ctx context.Context) (actor.State, error) {
	s, process, err := state(ctx, r.Client)
	if err == nil && process != r.process {
		err = errRestarted
	}
	return s, err
}

// State returns the state of a member and of its connections.
func State(ctx context.Context, client *mongo.Client) (actor.State, error) {
	s, _, err := state(ctx, client)
	return s, err
}

var errRestarted = errors.New("the member was restarted meanwhile; retry")

func state(ctx context.Context, client *mongo.Client) (s actor.State, process bson.ObjectID, err error) {
	before, err := readHello(ctx, client)
	if err != nil {
		return s, process, err
	}
	operations, err := connections(ctx, client)
	if err != nil {
		return s, process, fmt.Errorf("read the connections of the member ($currentOp): %w", err)
	}
	after, err := readHello(ctx, client)
	if err != nil {
		return s, process, err
	}
	if after.Topology.Process != before.Topology.Process {
		return s, process, errRestarted
	}
	s.Primary = before.Primary && after.Primary && before.Election == after.Election
	s.Term, s.Version = before.term(), major(before.Wire)
	for _, o := range operations {
		s.Connections = append(s.Connections, o.connection())
	}
	return s, after.Topology.Process, nil
}

// major returns the server's major version; all versions before 5.0 have the same value.
func major(wire int) int {
	const wire5, wire6 = 13, 17
	switch {
	case wire < wire5:
		return 4
	case wire < wire6:
		return 5
	}
	return 6
}

func connections(ctx context.Context, client *mongo.Client) (operations []operation, err error) {
	cursor, err := client.Database("admin").Aggregate(ctx, mongo.Pipeline{
		{{Key: "$currentOp", Value: bson.D{{Key: "allUsers", Value: true}, {Key: "idleConnections", Value: true}}}},
		{{Key: "$match", Value: bson.D{{Key: "desc", Value: bson.D{{Key: "$regex", Value: "^conn[0-9]+$"}}}}}},
		{{Key: "$project", Value: bson.D{
			{Key: "desc", Value: 1}, {Key: "client", Value: 1}, {Key: "appName", Value: 1},
			{Key: "clientMetadata.application", Value: 1}, {Key: "clientMetadata.driver", Value: 1}, {Key: "clientMetadata.mongos", Value: 1}, {Key: "effectiveUsers", Value: 1}, {Key: "runBy", Value: 1},
		}}},
	})
	if err != nil {
		return nil, err
	}
	return operations, cursor.All(ctx, &operations)
}

// Users returns the users of all databases, each as user@db.
func Users(ctx context.Context, client *mongo.Client) ([]string, error) {
	var reply struct {
		Users []struct {
			User string `bson:"user"`
			DB   string `bson:"db"`
		} `bson:"users"`
	}
	command := bson.D{{Key: "usersInfo", Value: bson.D{{Key: "forAllDBs", Value: true}}}}
	if err := client.Database("admin").RunCommand(ctx, command).Decode(&reply); err != nil {
		return nil, fmt.Errorf("read the names of the users (usersInfo): %w", err)
	}
	users := make([]string, len(reply.Users))
	for i, u := range reply.Users {
		users[i] = u.User + "@" + u.DB
	}
	return users, nil
}
