package drift

import (
	"encoding/json"
	"encoding/xml"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/mongotest"
)

// report is the output of --format json.
type report struct {
	Drift       bool
	Compared    int
	Differences []difference
	Accepted    []string
}

type difference struct {
	ID, Kind, NS, Index string
	Details             []struct {
		Option         string
		Declared, Live *string
	}
	Change *struct {
		ID, Operation string
		Actor         *string
	}
}

func (a answer) report(t *testing.T) report {
	t.Helper()
	var r report
	if err := json.Unmarshal([]byte(a.stdout), &r); err != nil {
		t.Fatalf("%v\n%s%s", err, a.stdout, a.stderr)
	}
	return r
}

func (r report) ids() []string {
	ids := []string{}
	for _, d := range r.Differences {
		ids = append(ids, d.ID)
	}
	slices.Sort(ids)
	return ids
}

const declared = `
db = db.getSiblingDB('shop')
db.createCollection('orders', {validator: {total: {$type: 'number'}}, validationLevel: 'moderate'})
db.orders.createIndex({customer: 1, at: -1})
db.orders.createIndex({email: 1}, {unique: true})
db.orders.createIndex({at: 1}, {expireAfterSeconds: 86400})
db.createCollection('log', {capped: true, size: 4096})
db.createView('big', 'orders', [{$match: {total: {$gt: 100}}}])
db.fs.files.createIndex({filename: 1, uploadDate: 1})
`

func changes(t *testing.T, db *mongo.Database) {
	for _, cmd := range []bson.D{
		{{Key: "createIndexes", Value: "orders"}, {Key: "indexes", Value: bson.A{bson.D{{Key: "key", Value: bson.D{{Key: "amount", Value: 1}}}, {Key: "name", Value: "amount_1"}}}}},
		{{Key: "dropIndexes", Value: "orders"}, {Key: "index", Value: "email_1"}},
		{{Key: "collMod", Value: "orders"}, {Key: "index", Value: bson.D{{Key: "name", Value: "at_1"}, {Key: "expireAfterSeconds", Value: 172800}}}},
		{{Key: "collMod", Value: "orders"}, {Key: "validationLevel", Value: "off"}},
		{{Key: "drop", Value: "log"}},
		{{Key: "create", Value: "undeclared"}},
	} {
		if err := db.RunCommand(t.Context(), cmd).Err(); err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
	}
}

// TestDrift makes five changes by hand, and checks each difference and its causing change.
func TestDrift(t *testing.T) {
	variables := []string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=ddltail_drift"}
	detect(t, variables)
	schema := write(t, "schema.js", declared)
	shell(t, set.URI(), declared)
	settled(t, variables, "shop.fs.files")
	if out := ddltail(t, variables, "drift", schema).want(t, 0); !strings.Contains(out, "no drift") {
		t.Errorf("got %q", out)
	}
	changes(t, mongotest.Connect(t, set.URI()).Database("shop"))
	settled(t, variables, "shop.undeclared")

	r := ddltail(t, variables, "drift", schema, "--format", "json")
	r.want(t, 3)
	want := map[string]string{
		"unexpected:shop.orders:amount_1": "CREATE_INDEX", "missing:shop.orders:email_1": "DROP_INDEX", "different:shop.orders:at_1": "MODIFY_COLLECTION",
		"different:shop.orders": "MODIFY_COLLECTION", "missing:shop.log": "DROP_COLLECTION",
	}
	got := r.report(t)
	for _, d := range got.Differences {
		if d.Change == nil || d.Change.Operation != want[d.ID] {
			t.Errorf("%s: the change is %+v, want a %s", d.ID, d.Change, want[d.ID])
		}
		delete(want, d.ID)
	}
	if len(want) > 0 {
		t.Errorf("not reported: %v in %s", want, r.stdout)
	}
	if ids := ddltail(t, variables, "drift", schema, "--exact", "--ns", "shop.*", "--format", "json").report(t).ids(); !slices.Contains(ids, "unexpected:shop.undeclared") {
		t.Errorf("--exact reports %v", ids)
	}
	junit(t, ddltail(t, variables, "drift", schema, "--format", "junit").want(t, 3), len(got.Differences))
	accept(t, variables, schema, got)
	scripts(t, variables, schema)
}

// settled waits until the history has the creation of a collection.
func settled(t *testing.T, variables []string, ns string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if out := ddltail(t, variables, "history", "--ns", ns, "--format", "csv"); strings.Contains(out.stdout, "CREATE_COLLECTION") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not in the history", ns)
		}
	}
}

func junit(t *testing.T, text string, failures int) {
	t.Helper()
	var suites struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Cases    []struct {
				Failure *struct{} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(text), &suites); err != nil || len(suites.Suites) != 1 || suites.Suites[0].Failures != failures {
		t.Errorf("%v: %d failures are wanted in\n%s", err, failures, text)
	}
}

// accept adds every difference to the ignore file; then drift finds none.
func accept(t *testing.T, variables []string, schema string, r report) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "accepted.txt")
	ddltail(t, variables, append([]string{"drift", "accept", "--ignore", file, "--reason", "tried"}, r.ids()...)...).want(t, 0)
	after := ddltail(t, variables, "drift", schema, "--ignore", file, "--format", "json")
	after.want(t, 0)
	if got := after.report(t); len(got.Accepted) != len(r.Differences) {
		t.Errorf("%d accepted, want %d", len(got.Accepted), len(r.Differences))
	}
}

// scripts runs the migration script with and without --allow-destructive; without it
// nothing is dropped or rebuilt.
func scripts(t *testing.T, variables []string, schema string) {
	t.Helper()
	keeping := ddltail(t, variables, "drift", schema, "--format", "mongosh").want(t, 3)
	if wrong := destructive(keeping); len(wrong) > 0 {
		t.Errorf("%s are executed without --allow-destructive:\n%s", strings.Join(wrong, ", "), keeping)
	}
	shell(t, set.URI(), keeping)
	left := ddltail(t, variables, "drift", schema, "--format", "json").report(t).ids()
	if want := []string{"different:shop.orders:at_1", "unexpected:shop.orders:amount_1"}; !slices.Equal(left, want) {
		t.Errorf("after the script that destroys nothing: %v, want %v", left, want)
	}
	shell(t, set.URI(), ddltail(t, variables, "drift", schema, "--format", "mongosh", "--allow-destructive").want(t, 3))
	ddltail(t, variables, "drift", schema).want(t, 0)
}

// TestHistoryRange checks that a source or a time that the history does not include is an error, not an
// empty schema.
func TestHistoryRange(t *testing.T) {
	variables := []string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=ddltail_range"}
	const early = "2020-01-01T00:00:00Z"
	schema := write(t, "schema.js", declared)
	reject := func(code int, text string, args ...string) {
		t.Helper()
		a := ddltail(t, variables, append([]string{"drift"}, args...)...)
		if a.want(t, code); a.stdout != "" || !strings.Contains(a.stderr, text) {
			t.Errorf("drift %q prints %q and %q, want %q", args, a.stdout, a.stderr, text)
		}
	}
	reject(1, "no history of ddltail in the database ddltail_range", "history:")
	reject(1, "no history of ddltail in the database ddltail_range", schema, "--at", "now")
	detect(t, variables)
	if err := mongotest.Connect(t, set.URI()).Database("range").CreateCollection(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	settled(t, variables, "range.x")
	causeUntil(t, variables)
	ddltail(t, variables, "drift", "history:", "--ns", "range.*").want(t, 0)
	ddltail(t, variables, "drift", "history:rs0@now", "--at", "now").want(t, 0)
	reject(2, `no history of the source "rs7": let history:SOURCE name one of ["rs0"]`, "history:rs7")
	reject(2, `to one of ["rs0"]`, schema, "--source", "rs7")
	for _, args := range [][]string{{"history:@" + early}, {"history:rs0@" + early, "--exact"}, {schema, "--at", early}, {"--write", filepath.Join(t.TempDir(), "x.js"), "--at", early}} {
		reject(1, "the schema of rs0 at 2020-01-01 00:00:00 is not known: the catalog was first listed at ", args...)
	}
}

// causeUntil checks that a comparison with a moment names no change after it.
func causeUntil(t *testing.T, variables []string) {
	t.Helper()
	db := mongotest.Connect(t, set.URI()).Database("range")
	schema := write(t, "x.js", "db = db.getSiblingDB('range')\ndb.createCollection('x', {validationLevel: 'off'})")
	causes := func(args ...string) string {
		t.Helper()
		r := ddltail(t, variables, append([]string{"drift", schema, "--format", "json"}, args...)...)
		r.want(t, 3)
		differences := r.report(t).Differences
		if len(differences) != 1 || differences[0].Change == nil {
			t.Fatalf("want one difference with its change: %s", r.stdout)
		}
		return differences[0].Change.Operation
	}
	time.Sleep(1100 * time.Millisecond) // a moment of whole seconds between the changes
	moment := time.Now().UTC().Format(time.RFC3339)
	time.Sleep(1100 * time.Millisecond)
	if err := db.RunCommand(t.Context(), bson.D{{Key: "collMod", Value: "x"}, {Key: "validationLevel", Value: "moderate"}}).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); causes() != "MODIFY_COLLECTION"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the collMod is not the cause")
		}
	}
	if got := causes("--at", moment); got != "CREATE_COLLECTION" {
		t.Errorf("at %s, before the collMod, the cause is %s", moment, got)
	}
}

// TestServers compares two servers, one of them a standalone without oplog and history.
func TestServers(t *testing.T) {
	alone := mongotest.NewStandalone(t, mongotest.Options{})
	shell(t, alone.URI(), strings.ReplaceAll(declared, "shop", "staging"))
	variables := []string{"DDLTAIL_MONGODB_URI=" + alone.URI(), "DDLTAIL_DATABASE=none"}
	a := ddltail(t, variables, "drift", alone.URI())
	a.want(t, 0)
	if strings.Contains(a.stderr, "not known") {
		t.Errorf("without a difference: %q", a.stderr)
	}
	variables[0] = "DDLTAIL_MONGODB_URI=" + set.URI()
	a = ddltail(t, variables, "drift", alone.URI(), "--format", "json")
	if ids := a.report(t).ids(); !slices.Contains(ids, "missing:staging.orders") {
		t.Errorf("compared with a set without the index: %v", ids)
	}
	if !strings.Contains(a.stderr, "the changes that caused the differences are not known: ") {
		t.Errorf("no history, and no word on it: %q", a.stderr)
	}
	// A declared server can have a ddltail of its own.
	shell(t, alone.URI(), "db = db.getSiblingDB('none')\ndb.createCollection('schema_history')")
	if ids := ddltail(t, variables, "drift", alone.URI(), "--ns", "none.*", "--format", "json").report(t).ids(); len(ids) > 0 {
		t.Errorf("ddltail's own collections: %v", ids)
	}
}

// TestUnreachable checks that an unreadable server or declaration is exit 1, never "no
// drift".
func TestUnreachable(t *testing.T) {
	schema := write(t, "schema.js", declared)
	variables := []string{"DDLTAIL_MONGODB_URI=mongodb://127.0.0.1:1/?replicaSet=rs0&serverSelectionTimeoutMS=500"}
	a := ddltail(t, variables, "drift", schema)
	if a.want(t, 1); a.stdout != "" {
		t.Errorf("printed %q", a.stdout)
	}
	ddltail(t, variables, "drift", write(t, "bad.js", "use shop\ndb.drop()")).want(t, 2)
	ddltail(t, variables, "drift").want(t, 2)
	ddltail(t, variables, "drift", filepath.Join(t.TempDir(), "none.js")).want(t, 2)
}
