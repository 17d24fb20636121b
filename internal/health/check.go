package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/listener"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/store"
)

const (
	// maxLag is how far the position may be behind: on a quiet set it is saved at most every
	// 10 s, and the server writes a no-op every 10 s.
	maxLag = time.Minute
	// maxCounted bounds the count of a queue without a consumer.
	maxCounted = 100_000
)

// Check describes a check of a replica set and a sink.
type Check struct {
	Seeds          replicaset.Seeds
	ReadPreference readpref.Mode
	// Sink is the database of ddltail's own collections; SinkError is why it cannot be
	// queried, or nil.
	Sink      *mongo.Database
	SinkError error
	// Source is empty if the set's name is used.
	Source, Name string
	// Retention is true if `run` removes old history.
	Retention bool
	// NoQueue is true if `run` does not write the queue.
	NoQueue bool
	// Actor lists the sources in which run looks up actors.
	Actor config.Actor
	// Declared is the declaration that the server is compared with; empty for none.
	Declared string
	// OneDeployment is true if the set also holds ddltail's own collections.
	OneDeployment bool
}

// Run returns the report. Facts that cannot be measured are reported as problems, except those of a queue that does not exist.
func (c Check) Run(ctx context.Context) Report {
	r := Report{Source: Text(c.Source), Name: c.Name, Problems: []string{}, measured: map[Fact]bool{}}
	member, err := c.readSet(ctx, &r)
	if err != nil {
		r.failed(err)
	}
	if name := c.Seeds.Options.ReplicaSet; r.Source == "" && name != nil {
		r.Source = Text(*name)
	}
	if r.Source != "" {
		r.know(FactSource)
	}
	c.readSink(ctx, &r)
	c.declare(&r)
	if member.Client != nil {
		defer disconnect(member.Client)
		c.readMember(ctx, member, &r)
	}
	c.readPrivileges(ctx, member.Client, &r)
	r.conclude()
	return r
}

// readSink reads ddltail's own collections, unless the sink is unavailable.
func (c Check) readSink(ctx context.Context, r *Report) {
	if c.SinkError != nil {
		r.failed(c.SinkError)
		return
	}
	if r.Source == "" {
		r.problem("the source is not known while the replica set is unavailable: set DDLTAIL_SOURCE")
	} else {
		for _, ask := range []func(context.Context, *Report) error{c.readPosition, c.readHistory, c.readActors} {
			if err := ask(ctx, r); err != nil {
				r.failed(err)
			}
		}
	}
	if c.NoQueue {
		r.know(FactQueue)
		return
	}
	if err := c.readQueue(ctx, r); err != nil {
		r.failed(err)
	}
}

// readSet discovers the members and connects to the one that `run` would read.
func (c Check) readSet(ctx context.Context, r *Report) (oplog.Member, error) {
	view, err := replicaset.Discover(ctx, c.Seeds)
	if err != nil {
		return oplog.Member{}, fmt.Errorf("the replica set cannot be queried: %w", err)
	}
	r.ReplicaSet = Text(view.SetName)
	if r.Source == "" {
		r.Source = Text(view.SetName)
	}
	r.know(FactReplicaSet, FactMembers)
	for _, m := range view.Members {
		state := "SECONDARY"
		if m.Primary {
			state = "PRIMARY"
		}
		r.Members = append(r.Members, Member{m.Host, state})
	}
	for _, host := range slices.Sorted(maps.Keys(view.Unreachable)) {
		r.Members = append(r.Members, Member{host, privileges.Short(view.Unreachable[host])})
	}
	if !view.HasPrimary() {
		r.problem("no primary is visible")
	}
	candidates := view.Candidates(c.ReadPreference)
	if len(candidates) == 0 {
		return oplog.Member{}, fmt.Errorf("no member matches the read preference %s", c.ReadPreference)
	}
	host := candidates[0].Host
	r.ReadFrom = Text(host)
	r.know(FactReadFrom)
	client, err := replicaset.Connect(ctx, c.Seeds.Options, host)
	return oplog.Member{Host: host, Client: client}, err
}

// readMember reads the oplog's bounds and compares the catalog.
func (c Check) readMember(ctx context.Context, m oplog.Member, r *Report) {
	if err := readOplog(ctx, m, r); err != nil {
		r.failed(err)
	}
	c.checkActorSources(ctx, m, r)
	if r.Position == nil {
		return
	}
	if err := c.compare(ctx, m, r); err != nil {
		r.failed(err)
	}
}

func readOplog(ctx context.Context, m oplog.Member, r *Report) error {
	head, err := m.Head(ctx)
	if err != nil {
		return err
	}
	oldest, err := m.Oldest(ctx)
	if err != nil {
		return err
	}
	r.Oplog = &Oplog{
		Oldest: oldest.OpTime.Time(), Newest: head.Time(), WindowSeconds: int64(head.TS.T) - int64(oldest.OpTime.TS.T),
		oldest: oldest.OpTime.TS, newest: head.TS,
	}
	r.know(FactOplog)
	return nil
}

func (c Check) readPosition(ctx context.Context, r *Report) error {
	stored, ok, err := checkpoint.NewStore(c.Sink.Collection(store.Checkpoints), string(r.Source), c.Name).Load(ctx)
	if err != nil {
		return err
	}
	id := string(r.Source) + ":" + c.Name
	r.know(FactPosition)
	if !ok {
		return fmt.Errorf("no checkpoint of %s in the database %s: ddltail run has not started there, or DDLTAIL_SINK_URI, "+
			"DDLTAIL_DATABASE, DDLTAIL_SOURCE or DDLTAIL_NAME differs from that of ddltail run", id, c.Sink.Name())
	}
	r.Position = &Position{Time: stored.Position.Time(), SavedAt: stored.SavedAt, ts: stored.Position.TS}
	return nil
}

// readHistory reads the newest change and the gaps. An empty history means that there were no
// changes only if there is a checkpoint.
func (c Check) readHistory(ctx context.Context, r *Report) error {
	reader := history.NewReader(c.Sink)
	var newest []history.Change
	_, err := reader.Each(ctx, history.Query{Source: string(r.Source), Limit: 1}, func(ch history.Change) error {
		newest = append(newest, ch)
		return nil
	})
	if err != nil {
		return err
	}
	gaps, err := reader.Gaps(ctx, string(r.Source), time.Time{}, time.Time{})
	if err != nil {
		return err
	}
	if len(newest) == 0 && r.Position == nil {
		return nil
	}
	r.know(FactLastChange, FactGaps)
	for _, ch := range newest {
		r.LastEvent = &Event{Time: ch.Wall, Operation: string(ch.Operation), NS: ch.Subject(), ID: ch.ID}
	}
	r.Gaps = &Gaps{Number: len(gaps)}
	if len(gaps) > 0 {
		last := gaps[len(gaps)-1].Inferred
		r.Gaps.From, r.Gaps.To = &last.From, &last.To
	}
	return nil
}

func (c Check) readQueue(ctx context.Context, r *Report) error {
	queue := c.Sink.Collection(store.Notifications)
	waiting := bson.D{{Key: "processed", Value: false}}
	n, err := queue.CountDocuments(ctx, waiting, options.Count().SetLimit(maxCounted))
	if err != nil {
		return fmt.Errorf("count the notifications: %w", err)
	}
	if n == 0 {
		// An existing queue has at least its init document.
		err := queue.FindOne(ctx, bson.D{}).Err()
		if errors.Is(err, mongo.ErrNoDocuments) {
			r.queueNote = fmt.Sprintf(": no queue in the database %s", c.Sink.Name())
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the notifications: %w", err)
		}
	}
	q := Queue{Unprocessed: n, AtLeast: n == maxCounted}
	if n > 0 && !q.AtLeast {
		if q.Oldest, err = oldest(ctx, queue, waiting); err != nil {
			return err
		}
		if q.Failing, err = listener.FirstFailing(ctx, queue); err != nil {
			return err
		}
	}
	r.Queue = &q
	r.know(FactQueue)
	return nil
}

// oldest returns the time of the oldest notification, or nil if it is not known: a
// notification written by hand may have a date as its timestamp, which sorts after all numbers.
func oldest(ctx context.Context, queue *mongo.Collection, waiting bson.D) (*time.Time, error) {
	var doc struct {
		Timestamp bson.RawValue `bson:"timestamp"`
	}
	err := queue.FindOne(ctx, waiting, options.FindOne().SetSort(bson.D{{Key: "timestamp", Value: 1}})).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		// It was processed after it was counted.
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the oldest notification: %w", err)
	}
	seconds, ok := doc.Timestamp.AsFloat64OK()
	if !ok || seconds <= 0 {
		return nil, nil
	}
	at := time.UnixMilli(int64(seconds * 1000))
	return &at, nil
}

func disconnect(client *mongo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	// The process ends and closes its connections anyway.
	_ = client.Disconnect(ctx)
}
