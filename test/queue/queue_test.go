// Package queue tests ddltail with a queue, and other own collections, to which users added
// options, indexes or validators.
package queue

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

var (
	set    *mongotest.ReplicaSet
	binary string
)

func TestMain(m *testing.M) {
	os.Exit(ddltailtest.WithBinary(&binary, func() int { return mongotest.Main{Tests: m, Set: &set}.Run() }))
}

// changes is the number of notifications that are written and delivered.
const changes = 17

// scene is a queue in its own database.
type scene struct {
	*testing.T
	name  string
	queue *mongo.Collection
}

func newScene(t *testing.T, name string, create ...bson.E) scene {
	t.Helper()
	t.Parallel()
	db := mongotest.Connect(t, set.URI()).Database(name)
	s := scene{T: t, name: name, queue: db.Collection("schema_notifications")}
	s.run(append(bson.D{{Key: "create", Value: "schema_notifications"}}, create...))
	return s
}

func (s scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s scene) run(cmd bson.D) {
	s.Helper()
	s.must(s.queue.Database().RunCommand(s.Context(), cmd).Err())
}

// start launches a command of ddltail that sees only the changes of this scene.
func (s scene) start(args ...string) *ddltailtest.Process {
	s.Helper()
	p, err := ddltailtest.Start(binary, args, "DDLTAIL_MONGODB_URI="+set.URIOf("", "", s.name), "DDLTAIL_SOURCE="+s.name,
		"DDLTAIL_NAMESPACES="+s.name+".made_*", "DDLTAIL_ACTOR=getlog", "DDLTAIL_ACTOR_WAIT=0")
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

func (s scene) ready(p *ddltailtest.Process) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	s.must(p.WaitReady(ctx))
}

// write runs ddltail and makes changes.
func (s scene) write() *ddltailtest.Process {
	s.Helper()
	p := s.start("run")
	s.ready(p)
	for i := range changes {
		s.run(bson.D{{Key: "create", Value: fmt.Sprint("made_", i)}})
	}
	return p
}

// deliver listens until all changes are printed.
func (s scene) deliver() *ddltailtest.Process {
	s.Helper()
	p := s.start("listen", "--stdout")
	s.until("all notifications are delivered", func() bool { return strings.Count(p.Stdout(), "\n") == changes })
	s.until("all are processed", func() bool {
		n, err := s.queue.CountDocuments(s.Context(), bson.D{{Key: "processed", Value: true}, {Key: "ns", Value: bson.D{{Key: "$exists", Value: true}}}})
		return err == nil && n == changes
	})
	return p
}

func (s scene) until(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("not in time: %s", what)
		}
	}
}

// names waits until /readyz and the log of a process contain the texts.
func (s scene) names(p *ddltailtest.Process, want ...string) {
	s.Helper()
	for place, text := range map[string]func() string{
		"/readyz": func() string { _, body, _ := p.Get(s.Context(), "/readyz"); return body },
		"the log": p.Stderr,
	} {
		for _, w := range want {
			s.until(fmt.Sprintf("%s names %s", place, w), func() bool { return strings.Contains(text(), w) })
		}
	}
}

func major(t *testing.T) int {
	m, err := mongotest.ServerMajor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCapped checks that before 6.0, where documents of a capped collection cannot grow, the error names a
// command that helps.
func TestCapped(t *testing.T) {
	s := newScene(t, "capped", bson.E{Key: "capped", Value: true}, bson.E{Key: "size", Value: 1 << 20})
	p := s.write()
	s.until("all are written", func() bool {
		n, err := s.queue.CountDocuments(t.Context(), bson.D{{Key: "processed", Value: false}})
		return err == nil && n == changes
	})
	if _, err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if major(t) > 5 {
		l := s.deliver()
		s.until("the log warns", func() bool { return strings.Contains(l.Stderr(), "it is capped") })
		return
	}
	l := s.start("listen", "--stdout")
	code, err := l.Wait(t.Context())
	s.must(err)
	for _, want := range []string{"the capped collection refuses the document capped:", "capped.schema_notifications", "$out"} {
		if code != 2 || !strings.Contains(l.Stderr(), want) {
			t.Errorf("exit code %d, want 2 and %q:\n%s", code, want, l.Stderr())
		}
	}
	_, err = s.queue.Aggregate(t.Context(), mongo.Pipeline{{{Key: "$out", Value: "copy"}}})
	s.must(err)
	s.must(s.queue.Drop(t.Context()))
	s.must(s.queue.Database().Client().Database("admin").RunCommand(t.Context(), bson.D{
		{Key: "renameCollection", Value: "capped.copy"}, {Key: "to", Value: "capped.schema_notifications"}}).Err())
	s.deliver()
}

// TestUniqueIndex checks a user's unique index that refuses a second notification with the same value: after its drop
// ddltail continues.
func TestUniqueIndex(t *testing.T) {
	s := newScene(t, "unique_index")
	index := mongo.IndexModel{Keys: bson.D{{Key: "operation", Value: 1}}, Options: options.Index().SetName("one each").SetUnique(true)}
	_, err := s.queue.Indexes().CreateOne(t.Context(), index)
	s.must(err)
	p := s.write()
	s.names(p, "the unique index one each refuses the document unique_index:")
	s.must(s.queue.Indexes().DropOne(t.Context(), "one each"))
	s.until("/readyz is ok again", func() bool { status, _, err := p.Get(t.Context(), "/readyz"); return err == nil && status == 200 })
	s.deliver()
}

// TestIndexOfAnotherKind: an index that cannot hold a field of a notification refuses it.
func TestIndexOfAnotherKind(t *testing.T) {
	s := newScene(t, "geo")
	_, err := s.queue.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: "operation", Value: "2dsphere"}}})
	s.must(err)
	p := s.write()
	s.names(p, "a 2dsphere index refuses the document geo:", "geo.schema_notifications", "drop the index")
	s.must(s.queue.Indexes().DropOne(t.Context(), "operation_2dsphere"))
	s.deliver()
}

// TestUniqueIndexOfListener: one that only the fields of `listen` violate.
func TestUniqueIndexOfListener(t *testing.T) {
	s := newScene(t, "unique_claim")
	index := mongo.IndexModel{Keys: bson.D{{Key: "claim.by", Value: 1}}, Options: options.Index().SetName("one claim").SetUnique(true).
		SetPartialFilterExpression(bson.D{{Key: "claim.by", Value: bson.D{{Key: "$exists", Value: true}}}})}
	_, err := s.queue.Indexes().CreateOne(t.Context(), index)
	s.must(err)
	// A claim of a listener that crashed.
	_, err = s.queue.InsertOne(t.Context(), bson.D{{Key: "_id", Value: "old"}, {Key: "processed", Value: true}, {Key: "claim", Value: bson.D{{Key: "by", Value: "gone"}}}})
	s.must(err)
	s.write()
	s.deliver()
}

// TestValidator: a validator refuses what `run` writes, or what `listen` adds.
func TestValidator(t *testing.T) {
	t.Run("of run", func(t *testing.T) {
		s := newScene(t, "validator_run", bson.E{Key: "validator", Value: bson.D{{Key: "team", Value: bson.D{{Key: "$exists", Value: true}}}}})
		p := s.write()
		s.names(p, "the validator refuses the document validator_run:")
		s.setValidator("schema_notifications", bson.D{})
		s.deliver()
	})
	t.Run("of listen", func(t *testing.T) {
		s := newScene(t, "validator_listen", bson.E{Key: "validator", Value: bson.D{{Key: "claim", Value: bson.D{{Key: "$exists", Value: false}}}}})
		s.write()
		l := s.start("listen", "--stdout")
		s.names(l, "the validator refuses the document validator_listen:")
		s.setValidator("schema_notifications", bson.D{})
		s.until("all notifications are delivered", func() bool { return strings.Count(l.Stdout(), "\n") == changes })
	})
}

// setValidator waits for index builds, which do not let a collMod in.
func (s scene) setValidator(coll string, validator bson.D) {
	s.Helper()
	s.until("the validator is set", func() bool {
		return s.queue.Database().RunCommand(s.Context(), bson.D{{Key: "collMod", Value: coll}, {Key: "validator", Value: validator}}).Err() == nil
	})
}

// TestTTL: a TTL index is a warning.
func TestTTL(t *testing.T) {
	s := newScene(t, "ttl_index")
	_, err := s.queue.Indexes().CreateOne(t.Context(), mongo.IndexModel{
		Keys: bson.D{{Key: "wall", Value: 1}}, Options: options.Index().SetName("expiry").SetExpireAfterSeconds(3600)})
	s.must(err)
	p := s.write()
	l := s.deliver()
	for _, p := range []*ddltailtest.Process{p, l} {
		s.until("the log warns", func() bool { return strings.Contains(p.Stderr(), "the index expiry removes documents") })
	}
}

// TestClustered: a clustered collection has no index on _id.
func TestClustered(t *testing.T) {
	if major(t) < 6 {
		t.Skip("clustered collections need 5.3")
	}
	s := newScene(t, "clustered", bson.E{Key: "clusteredIndex", Value: bson.D{{Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "unique", Value: true}}})
	s.write()
	s.deliver()
	s.repeated()
}

// TestCollation: with a default collation strings are compared otherwise, _ids too.
func TestCollation(t *testing.T) {
	for name, collation := range map[string]bson.D{
		"case":        {{Key: "locale", Value: "en"}, {Key: "strength", Value: 1}},
		"numbers":     {{Key: "locale", Value: "fr"}, {Key: "numericOrdering", Value: true}},
		"punctuation": {{Key: "locale", Value: "en"}, {Key: "alternate", Value: "shifted"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, "collation_"+name, bson.E{Key: "collation", Value: collation})
			s.write()
			s.deliver()
			s.repeated()
		})
	}
}

// repeated sets the checkpoint back, so that all is written again: each document is found to exist.
func (s scene) repeated() {
	s.Helper()
	p := s.start("run")
	s.ready(p)
	if _, err := p.Stop(s.Context()); err != nil {
		s.Fatal(err)
	}
	first, err := s.queue.Database().Collection("schema_history").FindOne(s.Context(), bson.D{},
		options.FindOne().SetSort(bson.D{{Key: "_id", Value: 1}})).Raw()
	s.must(err)
	res, err := s.queue.Database().Collection("schema_checkpoints").UpdateMany(s.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{
		{Key: "optime", Value: first.Lookup("optime")}, {Key: "inclusive", Value: true}}}})
	if err != nil || res.ModifiedCount != 1 {
		s.Fatalf("%+v, %v", res, err)
	}
	p = s.start("run")
	s.ready(p)
	s.run(bson.D{{Key: "create", Value: "made_last"}})
	s.until("the last one is written", func() bool {
		n, err := s.queue.CountDocuments(s.Context(), bson.D{{Key: "ns", Value: s.name + ".made_last"}})
		return err == nil && n == 1
	})
}

// TestOwnCollections: each own collection that is written refuses a document, by a validator or by a unique index. Without it
// ddltail continues.
func TestOwnCollections(t *testing.T) {
	for _, c := range []struct{ coll, by, selects string }{
		{"schema_history", "validator", ""}, {"schema_history", "index", "ns"},
		{"schema_catalog", "validator", ""}, {"schema_catalog", "index", "ns"},
		{"schema_checkpoints", "validator", ""},
		{"schema_actors", "validator", ""}, {"schema_actors", "index", "source"},
	} {
		t.Run(strings.TrimPrefix(c.coll, "schema_")+" "+c.by, func(t *testing.T) {
			s := newScene(t, "own_"+strings.TrimPrefix(c.coll, "schema_")+"_"+c.by)
			p := s.start("run")
			s.ready(p)
			coll := s.queue.Database().Collection(c.coll)
			want := "the validator refuses the document " + s.name
			if c.by == "index" {
				s.refuseByIndex(coll, c.selects)
				want = "the unique index one each refuses the document " + s.name
			} else {
				s.setValidator(c.coll, bson.D{{Key: "team", Value: true}})
			}
			s.run(bson.D{{Key: "create", Value: "made_now"}})
			s.until("the log names "+want, func() bool { return strings.Contains(p.Stderr(), want) })
			if c.coll != "schema_actors" { // which nothing waits for
				s.names(p, want)
			}
			s.setValidator(c.coll, bson.D{})
			s.must(coll.Indexes().DropAll(t.Context()))
			s.until("/readyz is ok again", func() bool { status, _, err := p.Get(t.Context(), "/readyz"); return err == nil && status == 200 })
			for _, written := range []string{"schema_history", "schema_notifications", "schema_catalog", c.coll} {
				s.until(written+" is written", func() bool {
					n, err := s.queue.Database().Collection(written).CountDocuments(t.Context(), bson.D{{Key: "_id", Value: bson.Regex{Pattern: "^" + s.name}}})
					return err == nil && n > 0
				})
			}
		})
	}
}

// TestNoCollection: a view or a time series with the name of an own collection is a wrong configuration.
func TestNoCollection(t *testing.T) {
	kinds := map[string]bson.D{"view": {{Key: "viewOn", Value: "x"}, {Key: "pipeline", Value: bson.A{}}}}
	if major(t) > 4 {
		kinds["time series"] = bson.D{{Key: "timeseries", Value: bson.D{{Key: "timeField", Value: "wall"}}}}
	}
	for kind, options := range kinds {
		for _, coll := range []string{"schema_notifications", "schema_history", "schema_catalog", "schema_checkpoints"} {
			t.Run(kind+" "+coll, func(t *testing.T) {
				s := newScene(t, "no_"+strings.TrimSpace(kind[:4])+"_"+strings.TrimPrefix(coll, "schema_"))
				s.must(s.queue.Drop(t.Context()))
				s.run(append(bson.D{{Key: "create", Value: coll}}, options...))
				commands := [][]string{{"run"}}
				if coll == "schema_notifications" {
					commands = append(commands, []string{"listen", "--stdout"}, []string{"setup"})
				}
				for _, args := range commands {
					p := s.start(args...)
					code, err := p.Wait(t.Context())
					s.must(err)
					for _, want := range []string{s.name + "." + coll + " is a " + kind, "rename or drop it", "DDLTAIL_DATABASE"} {
						if code != 2 || !strings.Contains(p.Stderr(), want) {
							t.Errorf("%s: exit code %d, want 2 and %q:\n%s", args[0], code, want, p.Stderr())
						}
					}
				}
			})
		}
	}
}

// refuseByIndex creates a unique index that refuses each document with one value of a field.
func (s scene) refuseByIndex(coll *mongo.Collection, field string) {
	s.Helper()
	value := map[string]string{"ns": s.name + ".made_now", "source": s.name}[field]
	_, err := coll.InsertOne(s.Context(), bson.D{{Key: "_id", Value: "seed"}, {Key: field, Value: value}})
	s.must(err)
	_, err = coll.Indexes().CreateOne(s.Context(), mongo.IndexModel{Keys: bson.D{{Key: "team", Value: 1}},
		Options: options.Index().SetName("one each").SetUnique(true).SetPartialFilterExpression(bson.D{{Key: field, Value: value}})})
	s.must(err)
}
