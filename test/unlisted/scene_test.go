// Package unlisted tests ddltail on sets that hold what their server cannot list.
package unlisted

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/health"
	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

var binary string

func TestMain(m *testing.M) { os.Exit(ddltailtest.WithBinary(&binary, m.Run)) }

// audit is the database of ddltail's own collections.
const audit = "audit"

// scene is a set of one member that began as a 4.4.
type scene struct {
	*testing.T
	set    *mongotest.ReplicaSet
	client *mongo.Client
	// version is the one under test, empty for $MONGOD; major is its first number.
	version string
	major   int
}

// newScene starts a set on the oldest version's files. Where no server is given it tests on 5.0.4, the version that
// cannot list most.
func newScene(t *testing.T) *scene {
	version, major := "5.0.4", 5
	if os.Getenv("MONGOD") != "" {
		var err error
		version = ""
		if major, err = mongotest.ServerMajor(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	set := mongotest.NewReplicaSet(t, mongotest.Options{Version: "4.4.2", OplogSizeMB: 16, Args: []string{"--syncdelay", "1"}})
	return &scene{T: t, set: set, client: mongotest.Connect(t, set.URI()), version: version, major: major}
}

// upgrade goes on to the version under test, by way of those between.
func (s *scene) upgrade() {
	s.Helper()
	if s.major == 4 {
		return
	}
	s.upgradeTo("5.0.4")
	s.admin(bson.D{{Key: "setFeatureCompatibilityVersion", Value: "5.0"}})
	if s.major > 5 {
		s.upgradeTo(s.version)
	}
}

func (s *scene) upgradeTo(version string) {
	s.Helper()
	err := s.set.Upgrade(s.Context(), version)
	if errors.Is(err, mongotest.ErrNoServer) {
		s.Skip(err)
	}
	s.must(err)
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) admin(cmd bson.D) { s.Helper(); s.run("admin", cmd) }

func (s *scene) run(db string, cmd bson.D) {
	s.Helper()
	s.must(s.client.Database(db).RunCommand(s.Context(), cmd).Err())
}

func (s *scene) create(db, coll string, fields ...bson.E) {
	s.Helper()
	s.run(db, append(bson.D{{Key: "create", Value: coll}}, fields...))
}

func (s *scene) view(db, view, on string) {
	s.Helper()
	s.create(db, view, bson.E{Key: "viewOn", Value: on}, bson.E{Key: "pipeline", Value: bson.A{}})
}

func (s *scene) index(db, coll, field string, fields ...bson.E) {
	s.Helper()
	spec := append(bson.D{{Key: "key", Value: bson.D{{Key: field, Value: 1}}}, {Key: "name", Value: field + "_1"}}, fields...)
	s.run(db, bson.D{{Key: "createIndexes", Value: coll}, {Key: "indexes", Value: bson.A{spec}}})
}

// views writes to a database's system.views, as no client can.
func (s *scene) views(op, db string, doc bson.D) {
	s.Helper()
	s.admin(bson.D{{Key: "applyOps", Value: bson.A{bson.D{
		{Key: "op", Value: op}, {Key: "ns", Value: db + ".system.views"}, {Key: "o", Value: doc},
	}}}})
}

// rollOver fills the oplog until all that was in it is gone.
func (s *scene) rollOver() {
	s.Helper()
	oplog := s.client.Database("local").Collection("oplog.rs")
	last, err := oplog.FindOne(s.Context(), bson.D{}, options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})).Raw()
	s.must(err)
	var head bson.Timestamp
	head.T, head.I = last.Lookup("ts").Timestamp()
	pad := strings.Repeat("x", 1<<20)
	s.until("the oplog has rolled over", func() bool {
		_, err := s.client.Database("filler").Collection("docs").InsertOne(s.Context(), bson.D{{Key: "pad", Value: pad}})
		s.must(err)
		first, err := oplog.FindOne(s.Context(), bson.D{}, options.FindOne().SetSort(bson.D{{Key: "$natural", Value: 1}})).Raw()
		s.must(err)
		var oldest bson.Timestamp
		oldest.T, oldest.I = first.Lookup("ts").Timestamp()
		return oldest.After(head)
	})
}

func (s *scene) until(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("waited in vain until %s", what)
		}
	}
}

func (s *scene) variables(more ...string) []string {
	return append([]string{"DDLTAIL_MONGODB_URI=" + s.set.URI(), "DDLTAIL_DATABASE=" + audit}, more...)
}

func (s *scene) launch(args []string, more ...string) *ddltailtest.Process {
	s.Helper()
	p, err := ddltailtest.Start(binary, args, s.variables(more...)...)
	s.must(err)
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("ddltail %s:\n%s", strings.Join(args, " "), p.Stderr())
		}
		if err := p.Close(); err != nil {
			s.Error(err)
		}
	})
	return p
}

// start runs ddltail and waits until it is ready.
func (s *scene) start(more ...string) *ddltailtest.Process {
	s.Helper()
	p := s.launch([]string{"run"}, more...)
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	s.must(p.WaitReady(ctx))
	return p
}

func (s *scene) stop(p *ddltailtest.Process) {
	s.Helper()
	code, err := p.Stop(s.Context())
	if err != nil || code != 0 {
		s.Fatalf("exit code %d, %v", code, err)
	}
}

// history returns the statements of one source, "oplog" or "snapshot", in their order, each with its database.
func (s *scene) history(source string) []string {
	s.Helper()
	cur, err := s.client.Database(audit).Collection("schema_history").Find(s.Context(),
		bson.D{{Key: "source", Value: source}, {Key: "database", Value: bson.D{{Key: "$ne", Value: "filler"}}}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	s.must(err)
	var docs []bson.Raw
	s.must(cur.All(s.Context(), &docs))
	var out []string
	for _, doc := range docs {
		ns, _ := doc.Lookup("ns").StringValueOK()
		text := doc.Lookup("operation").StringValue() + " " + ns
		if index, ok := doc.Lookup("index_name").StringValueOK(); ok {
			text += " " + index
		}
		out = append(out, text)
	}
	return out
}

// reports waits until ddltail has reported a change that is made now, and with it all before.
func (s *scene) reports(name string) {
	s.Helper()
	s.create("marks", name)
	s.until("the mark "+name+" is reported", func() bool {
		return slices.Contains(s.history("oplog"), "CREATE_COLLECTION marks."+name)
	})
}

// known returns the newest version's kind of each namespace of a database in the catalog; "dropped" where it is null.
func (s *scene) known(db string) map[string]string {
	s.Helper()
	cur, err := s.client.Database(audit).Collection("schema_catalog").Find(s.Context(),
		bson.D{{Key: "database", Value: db}}, options.Find().SetSort(bson.D{{Key: "optime.ts", Value: 1}}))
	s.must(err)
	var docs []bson.Raw
	s.must(cur.All(s.Context(), &docs))
	out := map[string]string{}
	for _, doc := range docs {
		kind := "dropped"
		if doc.Lookup("definition").Type == bson.TypeEmbeddedDocument {
			kind = doc.Lookup("kind").StringValue()
		}
		out[doc.Lookup("collection").StringValue()] = kind
	}
	return out
}

// unlisted waits until the metric has a value.
func (s *scene) unlisted(p *ddltailtest.Process, want int) {
	s.Helper()
	var got float64
	s.until("ddltail_unlisted_namespaces is right", func() bool {
		var err error
		got, err = p.Metric(s.Context(), "ddltail_unlisted_namespaces")
		return err == nil && got == float64(want)
	})
}

// status waits until ddltail status is healthy.
func (s *scene) status() health.Report {
	s.Helper()
	var r health.Report
	for end := time.Now().Add(30 * time.Second); ; {
		p := s.launch([]string{"status", "--format", "json"})
		code, err := p.Wait(s.Context())
		s.must(err)
		s.must(json.Unmarshal([]byte(p.Stdout()), &r))
		if code == 0 {
			return r
		}
		if time.Now().After(end) {
			s.Fatalf("not healthy: %+v", r)
		}
	}
}
