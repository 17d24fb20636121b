package health

import (
	"context"
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
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/sink"
)

const (
	// maxLag is how far the position may lie behind: on a quiet set it is saved at most
	// once in 10 s, and the newest entry moves each 10 s by itself.
	maxLag = time.Minute
	// maxCounted bounds the count of a queue without a consumer.
	maxCounted = 100_000
)

// Check asks a replica set and a sink.
type Check struct {
	Seeds          replicaset.Seeds
	ReadPreference readpref.Mode
	// Sink is the database of ddltail's own collections; SinkError is why it cannot be
	// asked, nil where it can.
	Sink      *mongo.Database
	SinkError error
	// Source is empty where the set's name is to be taken.
	Source, Name string
	// Retention says that `run` removes old history.
	Retention bool
	// Actor says where run looks for who made changes.
	Actor config.Actor
	// NoQueue says that `run` does not write the queue.
	NoQueue bool
}

// Run returns the report. What cannot be asked is a problem in it.
func (c Check) Run(ctx context.Context) Report {
	r := Report{Source: c.Source, Name: c.Name, Problems: []string{}, Members: []Member{}, Missing: []Missing{}}
	r.Catalog.Differences = []string{}
	member, err := c.askSet(ctx, &r)
	if err != nil {
		r.problem(err.Error())
	}
	c.askSink(ctx, &r)
	if member.Client != nil {
		defer disconnect(member.Client)
		c.askMember(ctx, member, &r)
	}
	r.judge()
	r.Healthy = len(r.Problems) == 0
	return r
}

// askSink asks what is stored, unless the sink is away.
func (c Check) askSink(ctx context.Context, r *Report) {
	if c.SinkError != nil {
		r.problem(c.SinkError.Error())
		return
	}
	for _, ask := range []func(context.Context, *Report) error{c.askPosition, c.askHistory, c.askQueue, c.askActors, c.askSinkPrivileges} {
		if err := ask(ctx, r); err != nil {
			r.problem(err.Error())
		}
	}
}

// askSet finds the members and connects to the one that is read from.
func (c Check) askSet(ctx context.Context, r *Report) (oplog.Member, error) {
	view, err := replicaset.Discover(ctx, c.Seeds)
	if err != nil {
		return oplog.Member{}, fmt.Errorf("the replica set cannot be asked: %w", err)
	}
	r.ReplicaSet = view.SetName
	if r.Source == "" {
		r.Source = view.SetName
	}
	for _, m := range view.Members {
		state := "SECONDARY"
		if m.Primary {
			state = "PRIMARY"
		}
		r.Members = append(r.Members, Member{m.Host, state})
	}
	for _, host := range slices.Sorted(maps.Keys(view.Unreachable)) {
		r.Members = append(r.Members, Member{host, view.Unreachable[host].Error()})
	}
	if !slices.ContainsFunc(view.Members, func(m replicaset.Member) bool { return m.Primary }) {
		r.problem("no primary is seen")
	}
	candidates := view.Candidates(c.ReadPreference)
	if len(candidates) == 0 {
		return oplog.Member{}, fmt.Errorf("no member fits the read preference %s", c.ReadPreference)
	}
	r.ReadFrom = candidates[0].Host
	client, err := replicaset.Connect(ctx, c.Seeds.Options, r.ReadFrom)
	return oplog.Member{Host: r.ReadFrom, Client: client}, err
}

// askMember reads the oplog's ends, what the user may do there, and what there is.
func (c Check) askMember(ctx context.Context, m oplog.Member, r *Report) {
	if err := askOplog(ctx, m, r); err != nil {
		r.problem(err.Error())
	}
	major, err := majorVersion(ctx, m.Client)
	if err == nil {
		use := c.use()
		use.MajorVersion = major
		err = askPrivileges(ctx, m.Client, use, privileges.Tailed, r)
	}
	if err != nil {
		r.problem(err.Error())
	}
	c.askActorSources(ctx, m, r)
	if r.Position == nil {
		return
	}
	if err := c.compare(ctx, m, r); err != nil {
		r.problem(err.Error())
	}
}

func askOplog(ctx context.Context, m oplog.Member, r *Report) error {
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
	return nil
}

func majorVersion(ctx context.Context, client *mongo.Client) (int, error) {
	var info struct {
		Version []int `bson:"versionArray"`
	}
	err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info)
	if err != nil || len(info.Version) == 0 {
		return 0, fmt.Errorf("ask for the server's version: %w", err)
	}
	return info.Version[0], nil
}

// use is what `run` does with the same configuration.
func (c Check) use() privileges.Use {
	return privileges.Use{Database: c.Sink.Name(), HistoryTTL: c.Retention, Actor: c.Actor.On(), GetLog: c.Actor.GetLog, NoQueue: c.NoQueue}
}

func (c Check) askSinkPrivileges(ctx context.Context, r *Report) error {
	return askPrivileges(ctx, c.Sink.Client(), c.use(), privileges.Sink, r)
}

// askPrivileges adds what the user lacks on a deployment. What is optional is shown and
// is no problem.
func askPrivileges(ctx context.Context, client *mongo.Client, use privileges.Use, d privileges.Deployment, r *Report) error {
	user, err := privileges.Read(ctx, client)
	if err != nil {
		return err
	}
	m := user.Missing(use, use.Needs(d))
	if len(m.Needs) == 0 {
		return nil
	}
	r.Missing = append(r.Missing, Missing{Privileges: m.Privileges(), Grant: m.Grant, Remedy: m.Remedy()})
	for _, n := range m.Of(privileges.Required, privileges.RequiredOnce, privileges.Configured) {
		r.problem("privileges are missing: " + privileges.Text(n.Privileges))
	}
	return nil
}

func (c Check) askPosition(ctx context.Context, r *Report) error {
	stored, ok, err := checkpoint.NewStore(c.Sink.Collection(sink.Checkpoints), r.Source, c.Name).Load(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%s holds no checkpoint of %s:%s: ddltail run has not begun", c.Sink.Name(), r.Source, c.Name)
	}
	r.Position = &Position{Time: stored.Position.Time(), SavedAt: stored.SavedAt, ts: stored.Position.TS}
	return nil
}

func (c Check) askHistory(ctx context.Context, r *Report) error {
	reader := history.NewReader(c.Sink)
	_, err := reader.Each(ctx, history.Query{Source: r.Source, Limit: 1}, func(ch history.Change) error {
		r.LastEvent = &Event{Time: ch.Wall, Operation: string(ch.Operation), NS: ch.Subject(), ID: ch.ID}
		return nil
	})
	if err != nil {
		return err
	}
	gaps, err := reader.Gaps(ctx, r.Source, time.Time{}, time.Time{})
	if err != nil {
		return err
	}
	if r.Gaps.Number = len(gaps); len(gaps) > 0 {
		last := gaps[len(gaps)-1].Inferred
		r.Gaps.From, r.Gaps.To = &last.From, &last.To
	}
	return nil
}

func (c Check) askQueue(ctx context.Context, r *Report) error {
	queue := c.Sink.Collection(sink.Notifications)
	waiting := bson.D{{Key: "processed", Value: false}}
	n, err := queue.CountDocuments(ctx, waiting, options.Count().SetLimit(maxCounted))
	if err != nil {
		return fmt.Errorf("count the notifications: %w", err)
	}
	r.Queue.Unprocessed = n
	if n == 0 || n == maxCounted {
		return nil
	}
	var oldest struct {
		Timestamp float64 `bson:"timestamp"`
	}
	// One written by hand may have a date there: then the age is not known.
	err = queue.FindOne(ctx, waiting, options.FindOne().SetSort(bson.D{{Key: "timestamp", Value: 1}})).Decode(&oldest)
	if err == nil && oldest.Timestamp > 0 {
		at := time.UnixMilli(int64(oldest.Timestamp * 1000))
		r.Queue.Oldest = &at
	}
	return nil
}

// judge says what the figures mean together.
func (r *Report) judge() {
	if r.Position == nil || r.Oplog == nil {
		return
	}
	p := r.Position
	p.LagSeconds = max(0, int64(r.Oplog.newest.T)-int64(p.ts.T))
	p.RemainingSeconds = int64(p.ts.T) - int64(r.Oplog.oldest.T)
	switch {
	case p.ts.Before(r.Oplog.oldest):
		r.problem(fmt.Sprintf("the position has fallen off the oplog of %s", r.ReadFrom))
	case time.Duration(p.LagSeconds)*time.Second > maxLag:
		r.problem(fmt.Sprintf("the position lies %s behind", time.Duration(p.LagSeconds)*time.Second))
	}
}

func disconnect(client *mongo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	// The process ends: the connections go with it.
	_ = client.Disconnect(ctx)
}
