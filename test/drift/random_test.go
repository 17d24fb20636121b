package drift

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/ddlgen"
	"github.com/ddltail/ddltail/test/mongotest"
)

var (
	schemas  = flag.Int("schemas", perRound, "how many random schemas are compared")
	onlySeed = flag.Uint64("seed", 0, "run only the round with this seed")
)

const (
	// perRound is the number of schemas, each a database, that one round compares.
	perRound = 6
	// operations is the number of operations that create one schema.
	operations = 30
)

// random is shared by all rounds.
type random struct {
	*testing.T
	variables     []string
	database      string
	dbs           []string
	client, spare *mongo.Client
	spareURI      string
	// live and empty run scripts on the live set and on the empty server.
	live, empty *openShell
	marks       int
}

// TestRandomSchemas checks the properties of drift with random schemas: a schema has no drift
// from its own declaration, in any form; after random changes exactly the changed objects are
// reported, with the causing changes; the migration script restores the declared schema.
func TestRandomSchemas(t *testing.T) {
	spare := mongotest.NewReplicaSet(t, mongotest.Options{})
	r := &random{T: t, database: "ddltail_random", spareURI: spare.URI()}
	r.variables = []string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=" + r.database}
	for i := range perRound {
		r.dbs = append(r.dbs, fmt.Sprintf("random_%d", i))
	}
	detect(t, r.variables)
	r.client, r.spare = mongotest.Connect(t, set.URI()), mongotest.Connect(t, spare.URI())
	r.live, r.empty = newShell(t, set.URI()), newShell(t, spare.URI())
	for n := 0; n < *schemas; n += perRound {
		seed := rand.Uint64()
		if *onlySeed != 0 {
			seed = *onlySeed
		}
		r.round(seed)
		if t.Failed() {
			t.Fatalf("-seed %d, after %d schemas", seed, n)
		}
	}
}

func (r *random) round(seed uint64) {
	g, choose := ddlgen.New(seed, r.dbs...), rand.New(rand.NewPCG(seed, 7))
	r.clear()
	r.change(g, operations*perRound)
	r.mark()
	begin, moment := r.marks, time.Now()
	declared := ddlgen.Listed(r.Context(), r, r.client, r.dbs)
	forms := r.forms()
	for _, form := range forms {
		if a := r.drift(form, "--exact"); a.code != 0 {
			r.Errorf("seed %d: %s is drift: exit %d\n%s%s", seed, form, a.code, a.stdout, a.stderr)
		}
	}
	if r.Failed() {
		return
	}
	time.Sleep(2 * time.Millisecond)
	forms = append(forms, "history:@"+moment.Format(time.RFC3339Nano))
	r.change(g, 5+choose.IntN(5*perRound))
	r.mark()
	now := ddlgen.Listed(r.Context(), r, r.client, r.dbs)
	form := forms[choose.IntN(len(forms))]
	found := r.found(form, declared, now)
	r.causes(found, declared, begin)
	r.scripts(form, now)
}

// clear drops the schemas on both servers.
func (r *random) clear() {
	r.Helper()
	for _, client := range []*mongo.Client{r.client, r.spare} {
		for _, db := range r.dbs {
			if err := client.Database(db).Drop(r.Context()); err != nil {
				r.Fatal(err)
			}
		}
	}
}

// change runs operations except inserts: unique indexes cannot be built on the equal
// documents.
func (r *random) change(g ddlgen.Generator, n int) {
	r.Helper()
	for range n {
		op := g.Next()
		if strings.Contains(op.String(), `{"insert":`) || op.Run(r.Context(), r.client) == nil {
			continue
		}
		if err := ddlgen.Alive(r.Context(), r.client); err != nil {
			r.Fatalf("the server does not survive %s: %v", op, err)
		}
	}
}

// mark creates a collection, and waits until it is in the history and the catalog.
func (r *random) mark() {
	r.Helper()
	r.marks++
	name := fmt.Sprintf("mark_%d", r.marks)
	if err := r.client.Database("random").CreateCollection(r.Context(), name); err != nil {
		r.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		// The catalog is written after the history.
		if r.client.Database(r.database).Collection("schema_catalog").FindOne(r.Context(), bson.D{{Key: "ns", Value: "random." + name}}).Err() == nil {
			return
		}
		if time.Now().After(end) {
			r.Fatal("the last change is not in the history")
		}
	}
}

func (r *random) drift(args ...string) answer {
	r.Helper()
	return ddltail(r.T, r.variables, append([]string{"drift", "--ns", "random_*.*"}, args...)...)
}

// forms writes the live schema in every form, twice each, and creates it on the empty
// server.
func (r *random) forms() []string {
	r.Helper()
	dir := r.TempDir()
	var forms []string
	for _, name := range []string{"schema.js", "schema.json", "schema.yaml", "folder"} {
		first, second := filepath.Join(dir, name), filepath.Join(dir, "again-"+name)
		r.drift("--write", first).want(r.T, 0)
		r.drift("--write", second).want(r.T, 0)
		if a, b := contents(r.T, first), contents(r.T, second); !maps.Equal(a, b) {
			r.Errorf("%s differs when it is written twice", name)
		}
		forms = append(forms, first)
	}
	forms = append(forms, r.dump(filepath.Join(dir, "dump")))
	script, err := os.ReadFile(forms[0])
	if err != nil {
		r.Fatal(err)
	}
	if err := r.empty.run(r.T, string(script)); err != nil {
		r.Error(err)
	}
	return append(forms, r.spareURI)
}

// contents returns the files at a path, by their names below it.
func contents(t *testing.T, path string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.Walk(path, func(file string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		files[strings.TrimPrefix(file, path)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// found compares the reported drift with the differences between the server's listings.
func (r *random) found(form string, declared, now ddlgen.Schema) report {
	r.Helper()
	exact := r.drift(form, "--exact", "--format", "json").report(r.T)
	want := expected(declared, now)
	if got := exact.ids(); !slices.Equal(got, want) {
		r.Errorf("%s: drift\n%q\nwant\n%q", form, got, want)
	}
	named := slices.DeleteFunc(want, func(id string) bool {
		return slices.ContainsFunc(exact.Differences, func(d difference) bool { return d.ID == id && d.Kind == "unexpected" && d.Index == "" })
	})
	if got := r.drift(form, "--format", "json").report(r.T).ids(); !slices.Equal(got, named) {
		r.Errorf("%s: drift without --exact\n%q\nwant\n%q", form, got, named)
	}
	return exact
}

// causes applies the changes to the schema, and compares the last one that affected each
// difference with the one that drift reports.
func (r *random) causes(found report, state ddlgen.Schema, begin int) {
	r.Helper()
	last := map[string]string{}
	for _, doc := range r.changes(begin) {
		before := map[string]string{}
		for _, d := range found.Differences {
			before[d.ID] = d.state(state)
		}
		for _, wrong := range state.Apply(doc) {
			r.Error(wrong)
		}
		for _, d := range found.Differences {
			if d.state(state) != before[d.ID] {
				last[d.ID] = doc.Lookup("_id").StringValue() + " " + doc.Lookup("operation").StringValue()
			}
		}
	}
	for _, d := range found.Differences {
		got := "not known"
		if d.Change != nil {
			got = d.Change.ID + " " + d.Change.Operation
		}
		if got != last[d.ID] {
			r.Errorf("%s: the change is %s, want %s", d.ID, got, last[d.ID])
		}
	}
}

// changes returns the changes after a mark.
func (r *random) changes(begin int) []bson.Raw {
	r.Helper()
	out := ddltail(r.T, r.variables, "history", "--format", "json").want(r.T, 0)
	_, out, ok := strings.Cut(out, fmt.Sprintf(`"mark_%d"`, begin))
	if !ok {
		r.Fatal("the mark is not in the history")
	}
	var docs []bson.Raw
	for i, line := range slices.Collect(strings.Lines(out)) {
		if i == 0 {
			continue // also of the mark
		}
		var doc bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(line), false, &doc); err != nil {
			r.Fatal(err)
		}
		if ns, _ := doc.Lookup("ns").StringValueOK(); strings.HasPrefix(ns, "random_") {
			docs = append(docs, doc)
		}
	}
	return docs
}

// scripts runs the migration script without --allow-destructive, which must not drop
// anything or shorten an expiry, then with it, which must result in the declaration.
func (r *random) scripts(form string, now ddlgen.Schema) {
	r.Helper()
	keeping := r.drift(form, "--exact", "--format", "mongosh")
	if wrong := destructive(keeping.stdout); len(wrong) > 0 {
		r.Errorf("%s are executed without --allow-destructive:\n%s", strings.Join(wrong, ", "), keeping.stdout)
	}
	if r.tooNew(keeping.stdout) {
		return
	}
	before := r.uuids()
	if err := r.live.run(r.T, keeping.stdout); err != nil {
		r.Error(err)
	}
	r.kept(now, ddlgen.Listed(r.Context(), r, r.client, r.dbs), renames(before, r.uuids()), keeping.stdout)
	if r.Failed() {
		return
	}
	all := r.drift(form, "--exact", "--format", "mongosh", "--allow-destructive")
	if err := r.live.run(r.T, all.stdout); err != nil {
		r.Error(err)
	}
	if a := r.drift(form, "--exact"); a.code != 0 {
		r.Errorf("%s: after its script drift is exit %d:\n%s%s\nthe script:\n%s", form, a.code, a.stdout, a.stderr, all.stdout)
	}
}

// tooNew reports whether a script notes that this server cannot run it: before 6.0 collMod
// cannot change the size of a capped collection.
func (r *random) tooNew(script string) bool {
	r.Helper()
	major, err := mongotest.ServerMajor(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return major < 6 && strings.Contains(script, "// needs MongoDB 6.0 or later")
}

// kept checks that nothing was lost or rebuilt. A collection with another name in the declaration is renamed and keeps its documents.
func (r *random) kept(before, after ddlgen.Schema, renamed map[string]string, script string) {
	r.Helper()
	for ns, was := range before {
		if name, ok := renamed[ns]; ok {
			ns = name
		}
		is := after[ns]
		if is == nil {
			r.Errorf("%s was dropped by\n%s", ns, script)
			continue
		}
		for name := range was.Indexes {
			if is.Indexes[name] == "" {
				r.Errorf("the index %s of %s was dropped by\n%s", name, ns, script)
			}
		}
	}
}

// uuids returns the UUID of each collection by its name.
func (r *random) uuids() map[string]string {
	r.Helper()
	uuids := map[string]string{}
	for _, db := range r.dbs {
		specs, err := r.client.Database(db).ListCollectionSpecifications(r.Context(), bson.D{})
		if err != nil {
			r.Fatal(err)
		}
		for _, spec := range specs {
			if spec.UUID != nil {
				uuids[db+"."+spec.Name] = string(spec.UUID.Data)
			}
		}
	}
	return uuids
}

// renames maps the old names of renamed collections to the new ones.
func renames(before, after map[string]string) map[string]string {
	names := map[string]string{}
	for ns, uuid := range after {
		names[uuid] = ns
	}
	renamed := map[string]string{}
	for ns, uuid := range before {
		if name, exists := names[uuid]; exists && name != ns {
			renamed[ns] = name
		}
	}
	return renamed
}
