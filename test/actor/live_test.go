package actor_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(ddltailtest.WithBinary(&binary, m.Run))
}

// people are the users of a live test. The user's number is in every name that a change uses, so that each
// notification shows which actor is right.
func people() []string {
	return []string{"ann", `b@b"ü`, "c'y d", "dee", "eve", "f%f", "gus", "hal"}
}

// world is a replica set with users, each with its own application name.
type world struct {
	*testing.T
	set  *mongotest.ReplicaSet
	root *mongo.Client
}

func newWorld(t *testing.T, o mongotest.Options) world {
	t.Helper()
	o.Auth = true
	set := mongotest.NewReplicaSet(t, o)
	w := world{T: t, set: set, root: mongotest.Connect(t, set.URI())}
	for i, name := range people() {
		db, mechanisms := "admin", bson.A{"SCRAM-SHA-256"}
		if i == 3 {
			mechanisms = bson.A{"SCRAM-SHA-1"}
		}
		if i == 4 {
			db = "people"
		}
		w.must(w.root.Database(db).RunCommand(t.Context(), bson.D{
			{Key: "createUser", Value: name}, {Key: "pwd", Value: "x"}, {Key: "mechanisms", Value: mechanisms},
			{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "root"}, {Key: "db", Value: "admin"}}}},
		}).Err())
	}
	return w
}

func (w world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// userOf returns the user name of a person on the server.
func userOf(person int) string {
	if person == 4 {
		return people()[person] + "@people"
	}
	return people()[person] + "@admin"
}

func appOf(person int) string { return fmt.Sprintf("app \x1b[31m%d", person) }

// switching is the application of the connections that authenticate as several people, and ends the names of their databases.
const switching = "switching"

// connect returns a client of a person with its own connection pool.
func (w world) connect(person int) *mongo.Client {
	db := userOf(person)[strings.LastIndexByte(userOf(person), '@')+1:]
	uri := "mongodb://" + url.QueryEscape(people()[person]) + ":x@" + w.set.Hosts() + "/?replicaSet=" + w.set.Name() + "&authSource=" + db
	client, err := mongo.Connect(options.Client().ApplyURI(strings.ReplaceAll(uri, "+", "%20")).SetAppName(appOf(person)).SetMaxPoolSize(8))
	w.must(err)
	return client
}

// change makes one random change as a person. Some fail because of earlier changes, and write no
// oplog entry.
func change(ctx context.Context, client *mongo.Client, person int, random *rand.Rand) {
	db := client.Database(fmt.Sprintf("of_%d_%d", person, random.IntN(3)))
	name := fmt.Sprintf("of_%d_%d", person, random.IntN(20))
	coll := db.Collection(name)
	switch random.IntN(14) {
	case 0, 1, 2:
		_ = db.CreateCollection(ctx, name)
	case 3:
		_, _ = coll.InsertOne(ctx, bson.D{{Key: "a", Value: 1}})
	case 4:
		_, _ = coll.Indexes().CreateMany(ctx, []mongo.IndexModel{{Keys: bson.D{{Key: "x", Value: 1}}}, {Keys: bson.D{{Key: "y", Value: 1}}}, {Keys: bson.D{{Key: "z", Value: 1}}}})
	case 5:
		_, _ = coll.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: string(rune('a' + random.IntN(5))), Value: 1}}})
	case 6:
		_ = coll.Indexes().DropAll(ctx)
	case 7, 8:
		_ = coll.Drop(ctx)
	case 9:
		to := fmt.Sprintf("%s.of_%d_%d", db.Name(), person, random.IntN(20))
		_ = client.Database("admin").RunCommand(ctx, bson.D{{Key: "renameCollection", Value: db.Name() + "." + name}, {Key: "to", Value: to}, {Key: "dropTarget", Value: random.IntN(2) == 0}}).Err()
	case 10:
		_ = db.RunCommand(ctx, bson.D{{Key: "collMod", Value: name}, {Key: "validationLevel", Value: []string{"off", "strict", "moderate"}[random.IntN(3)]}}).Err()
	case 11:
		if random.IntN(4) == 0 {
			_ = db.Drop(ctx)
			return
		}
		_ = db.CreateView(ctx, fmt.Sprintf("of_%d_view%d", person, random.IntN(3)), name, mongo.Pipeline{})
	case 12:
		cursor, err := coll.Aggregate(ctx, mongo.Pipeline{{{Key: "$out", Value: fmt.Sprintf("of_%d_%d", person, random.IntN(20))}}})
		if err == nil {
			_ = cursor.Close(ctx)
		}
	case 13:
		transaction(ctx, client, coll, random)
	}
}

func transaction(ctx context.Context, client *mongo.Client, coll *mongo.Collection, random *rand.Rand) {
	session, err := client.StartSession()
	if err != nil {
		return
	}
	defer session.EndSession(ctx)
	_, _ = session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
		fresh := coll.Database().Collection(coll.Name() + fmt.Sprint("_", random.IntN(1000)))
		_, err := fresh.InsertOne(ctx, bson.D{{Key: "a", Value: 1}})
		return nil, err
	})
}

// load makes the given number of changes at a rate, by all people concurrently, with occasional reconnects, and continues
// until done is closed.
func (w world) load(changes, perSecond int, done <-chan struct{}) {
	w.Helper()
	var running sync.WaitGroup
	each := changes / len(people())
	for person := range people() {
		running.Go(func() {
			random := rand.New(rand.NewPCG(uint64(person), 1))
			client := w.connect(person)
			defer func() { _ = client.Disconnect(context.Background()) }()
			began := time.Now()
			var open sync.WaitGroup
			limit := make(chan struct{}, 8)
			for i := 0; i < each || !isClosed(done); i++ {
				if random.IntN(50) == 0 {
					open.Wait()
					_ = client.Disconnect(context.Background())
					client = w.connect(person)
				}
				limit <- struct{}{}
				seed := random.Uint64()
				open.Go(func() {
					ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
					defer cancel()
					change(ctx, client, person, rand.New(rand.NewPCG(seed, 2)))
					<-limit
				})
				if ahead := time.Duration(i)*time.Second*time.Duration(len(people()))/time.Duration(perSecond) - time.Since(began); ahead > 0 {
					time.Sleep(ahead)
				}
			}
			open.Wait()
		})
	}
	running.Wait()
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// run starts a detector.
func (w world) run(name string, variables ...string) *ddltailtest.Process {
	w.Helper()
	p, err := ddltailtest.Start(binary, []string{"run"}, append([]string{
		"DDLTAIL_MONGODB_URI=" + w.set.URI(), "DDLTAIL_DATABASE=" + name, "DDLTAIL_LOG_LEVEL=debug", "DDLTAIL_PPROF=true",
	}, variables...)...)
	w.must(err)
	w.Cleanup(func() {
		if w.Failed() {
			_, stacks, err := p.Get(context.Background(), "/debug/pprof/goroutine?debug=1")
			w.Logf("ddltail:\n%s\nits goroutines: %v\n%s", p.Stderr(), err, stacks)
		}
		_ = p.Close()
	})
	w.must(p.WaitReady(w.Context()))
	return p
}

// settled waits until a detector has read all changes and no more actors are found.
func (w world) settled(p *ddltailtest.Process, database string) {
	w.Helper()
	w.must(w.root.Database("end").CreateCollection(w.Context(), "last"))
	history := w.root.Database(database).Collection("schema_history")
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		n, err := history.CountDocuments(w.Context(), bson.D{{Key: "ns", Value: "end.last"}})
		w.must(err)
		if n > 0 {
			break
		}
		if time.Now().After(end) {
			w.Fatalf("the last change was not reported:\n%s", p.Stderr())
		}
	}
	w.found(database)
}

// passed waits until a detector has processed everything up to now. The server writes an entry at least every ten seconds.
func (w world) passed(p *ddltailtest.Process) {
	w.Helper()
	now := float64(time.Now().Unix())
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		at, err := p.Metric(w.Context(), "ddltail_oplog_position_timestamp_seconds")
		if err == nil && at > now {
			return
		}
		if time.Now().After(end) {
			w.Fatalf("a detector is still at %.0f of %.0f: %v\n%s", at, now, err, p.Stderr())
		}
	}
}

// found waits until no more actors are found.
func (w world) found(database string) {
	w.Helper()
	last, since := int64(-1), time.Now()
	for end := time.Now().Add(time.Minute); time.Since(since) < 5*time.Second && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		n, err := w.root.Database(database).Collection("schema_actors").CountDocuments(w.Context(), bson.D{})
		w.must(err)
		if n != last {
			last, since = n, time.Now()
		}
	}
}

// TestLive makes changes as eight users, and compares the actors that a detector finds.
func TestLive(t *testing.T) {
	for _, source := range []string{"getlog", "file"} {
		t.Run(source, func(t *testing.T) {
			w := newWorld(t, mongotest.Options{})
			variable := "DDLTAIL_ACTOR=getlog"
			if source == "file" {
				variable = "DDLTAIL_ACTOR=file:" + w.set.Members()[0].Log()
			}
			p := w.run("audit", variable)
			done := make(chan struct{})
			close(done)
			w.load(400, 200, done)
			w.settled(p, "audit")
			least := map[string]float64{"getlog": 0.95, "file": 0.99}[source]
			if share := w.judge("audit").share(); share < least {
				t.Errorf("%.1f %% of the changes whose line joins exactly have an actor, want %.0f %%", 100*share, 100*least)
			}
		})
	}
}
