package lax

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/rawdoc"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// lab is a server with the objects that were created on it.
type lab struct {
	*testing.T
	set    *mongotest.ReplicaSet
	client *mongo.Client
	trials []trial
}

// trial is one option in one form. It has no collection if the server refused it.
type trial struct {
	version, option, form, collection string
	accepted, unequal                 bool
}

// try creates a collection for every step-th trial on the set's current version. Detectors read the entries, and compare
// afterwards: a listing during the changes would differ for other reasons than forms.
func (l *lab) try(version string, step int, detectors ...*detector) {
	l.Helper()
	for _, d := range detectors {
		d.run("gap")
	}
	n := 0
	prefix := "c" + strings.ReplaceAll(version, ".", "") + "_"
	for _, o := range Options() {
		for _, f := range append(Forms(), o.More...) {
			if n++; n%step != 0 {
				continue
			}
			t := trial{version: version, option: o.Name, form: f.Name, collection: fmt.Sprintf("%s%04d", prefix, n)}
			t.accepted = l.commands(o, f, t.collection)
			if !t.accepted {
				l.must(l.client.Database(database).Collection(t.collection).Drop(l.Context()))
			}
			l.trials = append(l.trials, t)
		}
	}
	l.must(l.client.Database(database).CreateCollection(l.Context(), "last"+prefix))
	for _, d := range detectors {
		l.until(d.name+" has read the last entry", func() bool {
			return len(d.notifications(bson.D{{Key: "collection", Value: "last" + prefix}})) > 0
		})
		d.run(compares)
	}
}

func (l *lab) commands(o Option, f Form, collection string) bool {
	for _, text := range o.Commands {
		var command bson.D
		l.must(bson.UnmarshalExtJSON([]byte(strings.NewReplacer("COLL", collection, "FORM", f.JSON, `"UUID"`, l.uuid(text, collection)).Replace(text)), false, &command))
		err := l.client.Database(database).RunCommand(l.Context(), command).Err()
		if refused := (mongo.ServerError)(nil); err != nil && !asServerError(err, &refused) {
			l.Fatalf("%s %s: %v", o.Name, f.Name, err)
		}
		if err != nil {
			return false
		}
	}
	return true
}

// uuid returns the collection's, as Extended JSON, for the commands with it.
func (l *lab) uuid(command, collection string) string {
	if !strings.Contains(command, "UUID") {
		return ""
	}
	specs, err := l.client.Database(database).ListCollectionSpecifications(l.Context(), bson.D{{Key: "name", Value: collection}})
	l.must(err)
	return fmt.Sprintf(`{"$uuid":"%x-%x-%x-%x-%x"}`, specs[0].UUID.Data[:4], specs[0].UUID.Data[4:6], specs[0].UUID.Data[6:8], specs[0].UUID.Data[8:10], specs[0].UUID.Data[10:])
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// detector is one ddltail with its own database.
type detector struct {
	*lab
	name    string
	process *ddltailtest.Process
	// emitted is the number of notifications after the users' last change was reported.
	emitted int
	// shown counts the inferred changes of a collection that are in the test's output.
	shown map[string]int
}

// compares is the DDLTAIL_RECONCILE of a detector that compares continuously.
const compares = "1s"

func (l *lab) detector(name string) *detector {
	return &detector{lab: l, name: name, shown: map[string]int{}}
}

func (d *detector) variables() []string {
	return []string{"DDLTAIL_MONGODB_URI=" + d.set.URI(), "DDLTAIL_DATABASE=" + d.name, "DDLTAIL_NAME=" + d.name, "DDLTAIL_SOURCE=" + d.name}
}

// run starts the detector, again if it runs.
func (d *detector) run(reconcile string) {
	d.Helper()
	if d.process != nil {
		d.stop()
	}
	p, err := ddltailtest.Start(binary, []string{"run"}, append(d.variables(), "DDLTAIL_RECONCILE="+reconcile, "DDLTAIL_NAMESPACES="+database+".*")...)
	d.must(err)
	d.process = p
	d.Cleanup(func() {
		if d.Failed() {
			d.Logf("ddltail %s:\n%s", d.name, tail(p.Stderr()))
		}
		d.must(p.Close())
	})
	d.must(p.WaitReady(d.Context()))
}

func tail(log string) string {
	lines := strings.Split(log, "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

func (d *detector) stop() {
	d.Helper()
	_, err := d.process.Stop(d.Context())
	d.must(err)
	d.process = nil
}

// comparisons counts the comparisons in the log of the running process.
func (d *detector) comparisons() int {
	log := d.process.Stderr()
	return strings.Count(log, "catalog matches the server's") + strings.Count(log, "catalog drift found")
}

// compared waits for two comparisons, the second of which began after this, by detectors at once.
func (l *lab) compared(detectors ...*detector) {
	l.Helper()
	before := map[string]int{}
	for _, d := range detectors {
		before[d.name] = d.comparisons()
	}
	for _, d := range detectors {
		l.until(d.name+" has compared the catalog", func() bool { return d.comparisons() >= before[d.name]+2 })
	}
}

// inferred returns the inferred changes, by collection.
func (d *detector) inferred() map[string][]string {
	d.Helper()
	all := map[string][]string{}
	for _, doc := range d.notifications(bson.D{{Key: "source", Value: "snapshot"}}) {
		collection, _ := doc.Lookup("collection").StringValueOK()
		all[collection] = append(all[collection], doc.String())
	}
	return all
}

func (l *lab) until(what string, holds func() bool) {
	l.Helper()
	for end := time.Now().Add(5 * time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			l.Fatalf("not in time: %s", what)
		}
	}
}

func (d *detector) notifications(filter bson.D) []bson.Raw {
	d.Helper()
	filter = append(filter, bson.E{Key: "database", Value: database})
	cur, err := d.client.Database(d.name).Collection("schema_notifications").Find(d.Context(), filter, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	d.must(err)
	var docs []bson.Raw
	d.must(cur.All(d.Context(), &docs))
	return docs
}

// healthy runs `ddltail status`, which compares by itself.
func (d *detector) healthy(when string) {
	d.Helper()
	var report struct {
		Healthy  bool     `json:"healthy"`
		Problems []string `json:"problems"`
		Catalog  struct {
			Compared    bool     `json:"compared"`
			Differences []string `json:"differences"`
		} `json:"catalog"`
	}
	out := d.output("status", "--format", "json")
	if err := json.Unmarshal([]byte(out), &report); err != nil || !report.Catalog.Compared {
		d.Fatalf("%s: status of %s compared nothing (%v):\n%s", when, d.name, err, out)
	}
	if !report.Healthy {
		d.Errorf("%s: status of %s: %q\n%s", when, d.name, report.Problems, strings.Join(report.Catalog.Differences, "\n"))
	}
}

// output returns the output of a command, regardless of its exit code.
func (d *detector) output(args ...string) string {
	d.Helper()
	p, err := ddltailtest.Start(binary, args, d.variables()...)
	d.must(err)
	defer p.Close()
	_, err = p.Wait(d.Context())
	d.must(err)
	if p.Stdout() == "" {
		d.Fatalf("ddltail %q printed nothing:\n%s", args, p.Stderr())
	}
	return p.Stdout()
}

// statements returns the lines of a script of `ddltail history`, without comments.
func (d *detector) statements(args ...string) []string {
	d.Helper()
	var statements []string
	for line := range strings.Lines(d.output(append(args, "--format", "mongosh")...)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			statements = append(statements, line)
		}
	}
	return statements
}

// script returns a script that runs each statement separately: a failed one prints its number, and the
// others still run.
func script(statements []string) string {
	var b strings.Builder
	for i, s := range statements {
		fmt.Fprintf(&b, "try { %s } catch (e) { print('%d: ' + e.message) }\n", s, i)
	}
	return b.String()
}

// mongosh runs statements on a server, and returns what failed, each with its statement.
func (l *lab) mongosh(on *mongotest.ReplicaSet, statements []string) []string {
	l.Helper()
	shell, err := mongotest.Mongosh(l.Context())
	l.must(err)
	home := l.TempDir()
	file := filepath.Join(home, "replay.js")
	l.must(os.WriteFile(file, []byte(script(statements)), 0o600))
	ctx, cancel := context.WithTimeout(l.Context(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell, on.URI(), "--quiet", "--norc", "--file", file)
	cmd.Env = append(os.Environ(), "HOME="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.Fatalf("mongosh: %v\n%s", err, out)
	}
	var failed []string
	for line := range strings.Lines(string(out)) {
		var i int
		if _, err := fmt.Sscanf(line, "%d: ", &i); err == nil && i < len(statements) {
			line = strings.TrimSpace(line) + " in " + statements[i]
		}
		failed = append(failed, line)
	}
	return failed
}

// definitions lists the database of the trials on a server.
func (l *lab) definitions(client *mongo.Client) schema.Definitions {
	l.Helper()
	db := client.Database(database)
	cur, err := db.ListCollections(l.Context(), bson.D{})
	l.must(err)
	var infos []bson.Raw
	l.must(cur.All(l.Context(), &infos))
	all := schema.Definitions{}
	for _, info := range infos {
		name := info.Lookup("name").StringValue()
		if strings.HasPrefix(name, "system.") {
			continue
		}
		kind := schema.Kind(info.Lookup("type").StringValue())
		def, err := schema.ListedDefinition(kind, info.Lookup("options").Document(), oplog.UUID{})
		l.must(err)
		if kind != schema.KindView {
			def.Indexes = l.indexes(db, name)
		}
		if kind == schema.KindTimeSeries {
			l.hide(def.Indexes, l.indexes(db, schema.BucketsPrefix+name))
		}
		all[schema.Namespace{Database: database, Collection: name}] = def
	}
	return all
}

func (l *lab) indexes(db *mongo.Database, collection string) []bson.Raw {
	l.Helper()
	cur, err := db.RunCommandCursor(l.Context(), bson.D{{Key: "listIndexes", Value: collection}})
	l.must(err)
	var specs []bson.Raw
	l.must(cur.All(l.Context(), &specs))
	return slices.DeleteFunc(specs, func(spec bson.Raw) bool {
		clustered, _ := spec.Lookup("clustered").BooleanOK()
		return clustered || schema.IndexName(spec) == "_id_"
	})
}

// hide copies the option hidden from the indexes on buckets: the listing of a time series does not show a
// change by collMod.
func (l *lab) hide(specs, stored []bson.Raw) {
	l.Helper()
	for i, spec := range specs {
		hidden := schema.Definition{Indexes: stored}.Index(schema.IndexName(spec)).Lookup("hidden")
		var err error
		if specs[i], err = rawdoc.With(spec, "hidden", rawdoc.Truthy(hidden)); err != nil {
			l.Fatal(err)
		}
	}
}

// describe returns a definition as text for a failure.
func describe(n *schema.Named) string {
	if n == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s %s %s", mongosh.Quote(n.Namespace.Collection), n.Definition.Options, n.Definition.Indexes)
}
