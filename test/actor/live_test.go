package actor_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
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

// people are the users of a live test: their number is in every name that they use, so that the truth is in the data.
func people() []string {
	return []string{"ann", `b@b"ü`, "c'y d", "dee", "eve", "f%f", "gus", "hal"}
}

// world is a set with users, each with an application of its own.
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

// userOf returns the user that the server knows a person as.
func userOf(person int) string {
	if person == 4 {
		return people()[person] + "@people"
	}
	return people()[person] + "@admin"
}

func appOf(person int) string { return fmt.Sprintf("app \x1b[31m%d", person) }

// switching is the application of the connections that authenticate as several people, and ends the names of their databases.
const switching = "switching"

// connect returns a client of a person with a pool of its own.
func (w world) connect(person int) *mongo.Client {
	db := userOf(person)[strings.LastIndexByte(userOf(person), '@')+1:]
	uri := "mongodb://" + url.QueryEscape(people()[person]) + ":x@" + w.set.Hosts() + "/?replicaSet=" + w.set.Name() + "&authSource=" + db
	client, err := mongo.Connect(options.Client().ApplyURI(strings.ReplaceAll(uri, "+", "%20")).SetAppName(appOf(person)).SetMaxPoolSize(8))
	w.must(err)
	return client
}

// change makes one random change as a person. Some fail by what came before; that leaves no entry.
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

// load makes so many changes at a rate by all people at once, who now and then connect anew, and goes on until done is closed.
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

// verdicts count what became of changes, by operation.
type verdicts map[string]map[string]int

const (
	exact   = "exact"
	byName  = "by name"
	session = "lsid"
	noActor = "none"
	wrong   = "wrong"
)

// judge compares the actors of all notifications with the names that their changes have.
func (w world) judge(database string) verdicts {
	w.Helper()
	cursor, err := w.root.Database(database).Collection("schema_history").Aggregate(w.Context(), mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "database", Value: bson.D{{Key: "$regex", Value: "^of_"}}}}}},
		{{Key: "$lookup", Value: bson.D{{Key: "from", Value: "schema_actors"}, {Key: "localField", Value: "_id"}, {Key: "foreignField", Value: "_id"}, {Key: "as", Value: "late"}}}},
	})
	w.must(err)
	var docs []struct {
		ID        string `bson:"_id"`
		Operation string `bson:"operation"`
		Database  string `bson:"database"`
		Statement string `bson:"operation_statement"`
		Actor     *found `bson:"actor"`
		Late      []struct {
			Actor found `bson:"actor"`
		} `bson:"late"`
	}
	w.must(cursor.All(w.Context(), &docs))
	counts := verdicts{}
	late := 0
	for _, d := range docs {
		var person int
		if _, err := fmt.Sscanf(d.Database, "of_%d_", &person); err != nil {
			continue
		}
		actor := d.Actor
		if actor == nil && len(d.Late) > 0 {
			actor = &d.Late[0].Actor
			late++
		}
		if counts[d.Operation] == nil {
			counts[d.Operation] = map[string]int{}
		}
		app := appOf(person)
		if strings.HasSuffix(d.Database, switching) {
			app = switching
		}
		verdict := actor.verdict(userOf(person), app)
		counts[d.Operation][verdict]++
		if verdict == wrong {
			w.Errorf("%s %s of %s: %+v", d.ID, d.Statement, userOf(person), actor)
		}
		if verdict == noActor && testing.Verbose() && hasLine(d.Operation) {
			w.Logf("none: %s %s", d.ID, d.Statement)
			w.explain(d.ID)
		}
	}
	w.Logf("%d notifications, %d actors found late\n%s", len(docs), late, counts)
	return counts
}

// explain logs the lines of the servers that have the optime of a notification, and all of the same connection.
func (w world) explain(id string) {
	var t, i int
	if _, err := fmt.Sscanf(id[strings.IndexByte(id, ':')+1:], "%d:%d:", &t, &i); err != nil {
		return
	}
	for _, m := range w.set.Members() {
		raw, _ := os.ReadFile(m.Log())
		for line := range strings.Lines(string(raw)) {
			// A slow query has the time of its session.
			if strings.Contains(line, fmt.Sprintf(`{"t":%d,"i":%d}`, t, i)) && !strings.Contains(line, `"id":51803,`) {
				w.Logf("    %s", line)
			}
		}
	}
}

type found struct {
	User     string `bson:"user"`
	App      string `bson:"app"`
	Evidence string `bson:"evidence"`
	Exact    bool   `bson:"exact"`
}

func (f *found) verdict(user, app string) string {
	switch {
	case f == nil:
		return noActor
	case f.User != user, f.Evidence == "log" && strings.ReplaceAll(f.App, `\u001b`, "\x1b") != app: // newer servers escape it
		return wrong
	case f.Evidence == "lsid":
		return session
	case f.Exact:
		return exact
	}
	return byName
}

// hasLine reports whether the line of an operation joins by optime or UUID.
func hasLine(operation string) bool {
	return !slices.Contains([]string{"MODIFY_COLLECTION", "CREATE_VIEW", "MODIFY_VIEW", "DROP_VIEW", "DROP_DATABASE"}, operation)
}

// share returns how many of the changes whose line joins exactly have an exact actor.
func (v verdicts) share() float64 {
	have, all := 0, 0
	for operation, counts := range v {
		if !hasLine(operation) {
			continue
		}
		for verdict, n := range counts {
			all += n
			if verdict == exact || verdict == session {
				have += n
			}
		}
	}
	return float64(have) / float64(max(all, 1))
}

func (v verdicts) String() string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	columns := []string{exact, session, byName, noActor, wrong}
	_, _ = fmt.Fprintln(table, "\t"+strings.Join(columns, "\t"))
	for _, operation := range slices.Sorted(func(yield func(string) bool) {
		for o := range v {
			if !yield(o) {
				return
			}
		}
	}) {
		_, _ = fmt.Fprint(table, operation)
		for _, c := range columns {
			_, _ = fmt.Fprintf(table, "\t%d", v[operation][c])
		}
		_, _ = fmt.Fprintln(table)
	}
	_ = table.Flush()
	return text.String()
}

// run starts a detector.
func (w world) run(name string, variables ...string) *ddltailtest.Process {
	w.Helper()
	p, err := ddltailtest.Start(binary, []string{"run"}, append([]string{
		"DDLTAIL_MONGODB_URI=" + w.set.URI(), "DDLTAIL_DATABASE=" + name, "DDLTAIL_LOG_LEVEL=debug",
	}, variables...)...)
	w.must(err)
	w.Cleanup(func() {
		if w.Failed() {
			w.Logf("ddltail:\n%s", p.Stderr())
		}
		_ = p.Close()
	})
	w.must(p.WaitReady(w.Context()))
	return p
}

// settled waits until a detector has read everything and found what it will find.
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

// TestLive has eight people make changes while a detector looks for who they are.
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
