package oplog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

const (
	database   = "local"
	collection = "oplog.rs"

	// requestTimeout bounds one command on one member. A stopped process keeps its sockets
	// open: without a timeout the read would never return.
	requestTimeout = 30 * time.Second
	// tailTimeout is the same at the head, where a read waits about a second and scans little.
	tailTimeout = 10 * time.Second
)

var errNoReply = errors.New("no reply from the member")

// Member reads the oplog of one replica set member. Client must be connected
// to that member directly, so that every read of a Reader sees one oplog.
type Member struct {
	Host   string
	Client *mongo.Client
}

// State is the state that a member reports.
type State struct {
	// Majority is the newest majority-committed entry on this member, zero if it is not known.
	// Newest is its newest entry, which may roll back.
	Majority, Newest OpTime
	// Primary is true if it is the primary.
	Primary bool
	// Topology changes with every change of the member's state: if two are equal, there was no
	// rollback in between.
	Topology Topology
}

// Topology is the server's topologyVersion.
type Topology struct {
	Process bson.ObjectID `bson:"processId"`
	Counter int64         `bson:"counter"`
}

// ErrNotReadable is returned for a member that is neither primary nor secondary, but in recovery,
// rollback or initial sync, or removed from the set. It may still answer reads of its oplog,
// but not advance.
var ErrNotReadable = errors.New("neither primary nor secondary")

// State queries the member's state. The error wraps ErrNotReadable if the member cannot be
// read in this state.
func (m Member) State(ctx context.Context) (State, error) {
	raw, err := m.run(ctx, "admin", bson.D{{Key: "hello", Value: 1}})
	if err != nil {
		return State{}, fmt.Errorf("read the state of %s: %w", m.Host, err)
	}
	var hello struct {
		Primary   bool     `bson:"isWritablePrimary"`
		Secondary bool     `bson:"secondary"`
		Topology  Topology `bson:"topologyVersion"`
		LastWrite struct {
			Majority OpTime `bson:"majorityOpTime"`
			Newest   OpTime `bson:"opTime"`
		} `bson:"lastWrite"`
	}
	if err := bson.Unmarshal(raw, &hello); err != nil {
		return State{}, fmt.Errorf("read the state of %s: %w", m.Host, err)
	}
	if !hello.Primary && !hello.Secondary {
		return State{}, fmt.Errorf("read the state of %s: %w", m.Host, ErrNotReadable)
	}
	return State{
		Majority: hello.LastWrite.Majority, Newest: hello.LastWrite.Newest,
		Primary: hello.Primary, Topology: hello.Topology,
	}, nil
}

// ErrHeadUnknown is returned for a member that does not know yet what is majority-committed: it
// was restarted, and has not learned it from the others. Its hello has a majorityOpTime of zero.
var ErrHeadUnknown = errors.New("the majority-committed position is not known yet")

// Head returns the newest majority-committed entry on this member. The error wraps
// ErrHeadUnknown, or is one of State's.
func (m Member) Head(ctx context.Context) (OpTime, error) {
	state, err := m.State(ctx)
	if err == nil && state.Majority.IsZero() {
		err = fmt.Errorf("read the state of %s: %w", m.Host, ErrHeadUnknown)
	}
	return state.Majority, err
}

// Oldest returns the first entry that this member still holds.
func (m Member) Oldest(ctx context.Context) (Entry, error) {
	e, ok, err := m.first(ctx, bson.D{})
	if err == nil && !ok {
		err = errors.New("the oplog is empty")
	}
	if err != nil {
		return Entry{}, fmt.Errorf("read the oldest entry of %s: %w", m.Host, err)
	}
	return e, nil
}

// At returns the entry with exactly this timestamp, without its "o", and whether there is one.
func (m Member) At(ctx context.Context, ts bson.Timestamp) (Entry, bool, error) {
	e, ok, err := m.first(ctx, between(ts, ts))
	if err != nil {
		return Entry{}, false, fmt.Errorf("read the entry at %d:%d of %s: %w", ts.T, ts.I, m.Host, err)
	}
	return e, ok, nil
}

// Fetch returns the entry with exactly this timestamp, its applyOps projected to operations
// that can be DDL, and whether there is one.
func (m Member) Fetch(ctx context.Context, ts bson.Timestamp) (Entry, bool, error) {
	raws, err := m.find(ctx, between(ts, ts), projection())
	if err != nil {
		return Entry{}, false, fmt.Errorf("read the entry at %d:%d of %s: %w", ts.T, ts.I, m.Host, err)
	}
	if len(raws) == 0 {
		return Entry{}, false, nil
	}
	e, err := Decode(unproject(raws[0]))
	return e, err == nil, err
}

// From returns the first entry at or after from and at or before to, and whether
// there is one.
func (m Member) From(ctx context.Context, from, to bson.Timestamp) (Entry, bool, error) {
	e, ok, err := m.first(ctx, between(from, to))
	if err != nil {
		return Entry{}, false, fmt.Errorf("read the first entry from %d:%d of %s: %w", from.T, from.I, m.Host, err)
	}
	return e, ok, nil
}

func between(from, to bson.Timestamp) bson.D {
	return bson.D{{Key: "ts", Value: bson.D{{Key: "$gte", Value: from}, {Key: "$lte", Value: to}}}}
}

// first reads one majority-committed entry without its "o".
func (m Member) first(ctx context.Context, where bson.D) (Entry, bool, error) {
	raws, err := m.find(ctx, where, bson.D{{Key: "ts", Value: 1}, {Key: "t", Value: 1}, {Key: "wall", Value: 1},
		{Key: "op", Value: 1}, {Key: "ns", Value: 1}, {Key: "ui", Value: 1}})
	if err != nil || len(raws) == 0 {
		return Entry{}, false, err
	}
	return headerOf(raws[0])
}

// find reads at most one majority-committed entry. A bound on a top-level ts is a
// seek.
func (m Member) find(ctx context.Context, where, fields bson.D) ([]bson.Raw, error) {
	raw, err := m.run(ctx, database, bson.D{
		{Key: "find", Value: collection},
		{Key: "filter", Value: where},
		{Key: "hint", Value: bson.D{{Key: "$natural", Value: 1}}},
		{Key: "limit", Value: 1},
		{Key: "singleBatch", Value: true},
		{Key: "projection", Value: fields},
		{Key: "readConcern", Value: bson.D{{Key: "level", Value: "majority"}}},
	})
	if err != nil {
		return nil, err
	}
	r, err := parseReply(raw)
	return r.entries, err
}

// headerOf decodes an entry whose "o" was left on the server.
func headerOf(raw bson.Raw) (Entry, bool, error) {
	d := fields{raw: raw}
	e := Entry{
		OpTime: OpTime{TS: d.timestamp("ts"), Term: d.int64("t")},
		Wall:   d.time("wall"),
		Op:     d.text("op"),
		NS:     d.text("ns"),
		UUID:   d.uuid("ui"),
	}
	return e, d.err == nil, d.err
}

func (m Member) run(ctx context.Context, db string, cmd bson.D) (bson.Raw, error) {
	return m.runWithin(ctx, requestTimeout, db, cmd)
}

func (m Member) runWithin(ctx context.Context, limit time.Duration, db string, cmd bson.D) (raw bson.Raw, err error) {
	err = within(ctx, limit, func(ctx context.Context, _ func()) (err error) {
		raw, err = m.Client.Database(db).RunCommand(ctx, cmd).Raw()
		return err
	})
	return raw, err
}

// AwaitReplies calls work with a context that ends if no reply arrives for 30 s: a stopped process keeps its sockets open. Work calls
// received after each reply; their number is not bounded.
func AwaitReplies(ctx context.Context, work func(ctx context.Context, received func()) error) error {
	return within(ctx, requestTimeout, work)
}

// within bounds the wait for each reply without a context deadline: from a deadline the driver would
// derive a maxTimeMS in addition to the one that an awaitData getMore has.
func within(ctx context.Context, limit time.Duration, work func(ctx context.Context, received func()) error) error {
	bounded, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(limit, func() { cancel(errNoReply) })
	defer timer.Stop()
	err := work(bounded, func() { timer.Reset(limit) })
	if err != nil && errors.Is(context.Cause(bounded), errNoReply) {
		return fmt.Errorf("%w within %s", errNoReply, limit)
	}
	return err
}
