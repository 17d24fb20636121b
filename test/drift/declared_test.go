package drift

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/health"
	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestDeclared checks that `run` counts the differences from a declaration that is mounted
// like a ConfigMap, by swapped symlinks, and reports what is not known.
func TestDeclared(t *testing.T) {
	mount := t.TempDir()
	configMap(t, mount, "one", "use declared\ndb.createCollection('a')\n")
	variables := []string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=ddltail_declared", "DDLTAIL_DECLARED=" + mount, "DDLTAIL_DRIFT_SETTLE=1s"}
	p, err := ddltailtest.Start(binary, []string{"run"}, variables...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	db := mongotest.Connect(t, set.URI()).Database("declared")
	// Each write advances the time of the oplog.
	tick := func() {
		if _, err := db.Client().Database("declared_other").Collection("ticks").InsertOne(t.Context(), bson.D{}); err != nil {
			t.Fatal(err)
		}
	}
	waitMetric(t, p, tick, `ddltail_drift{kind="missing"} 1`)
	if err := db.CreateCollection(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	waitMetric(t, p, tick, `ddltail_drift{kind="missing"} 0`)
	configMap(t, mount, "two", "use declared\ndb.createCollection('a', {validator: {x: 1}})\n")
	waitMetric(t, p, tick, `ddltail_drift{kind="different"} 1`)
	inStatus(t, variables, health.Declared{Path: mount, Differences: []string{"different:declared.a"}})
	configMap(t, mount, "three", "use declared\ndb.a.drop()\n")
	waitMetric(t, p, tick, `ddltail_drift{kind="different"} NaN`)
	inStatus(t, variables, health.Declared{Path: mount, Problem: "schema.js:2:1: drop is not supported"})
}

// inStatus checks the section of `status`: with drift it is healthy, and without a
// comparison the drift is not known.
func inStatus(t *testing.T, variables []string, want health.Declared) {
	t.Helper()
	var r health.Report
	if err := json.Unmarshal([]byte(ddltail(t, variables, "status", "--format", "json").want(t, 0)), &r); err != nil {
		t.Fatal(err)
	}
	got := r.Declared
	if got == nil || got.Path != want.Path || !slices.Equal(got.Differences, want.Differences) || !strings.Contains(got.Problem, want.Problem) {
		t.Fatalf("status has %+v, want %+v", got, want)
	}
	if known := !slices.Contains(r.NotKnown, health.FactDeclared); known != (want.Problem == "") {
		t.Errorf("not known: %v, with %+v", r.NotKnown, got)
	}
	table := ddltail(t, variables, "status").want(t, 0)
	for _, text := range append(want.Differences, "drift ", want.Problem) {
		if !strings.Contains(table, text) {
			t.Errorf("no %q in\n%s", text, table)
		}
	}
}

// configMap swaps the link to the data, as a kubelet does.
func configMap(t *testing.T, mount, version, text string) {
	t.Helper()
	data := filepath.Join(mount, ".."+version)
	for _, err := range []error{
		os.Mkdir(data, 0o755), os.WriteFile(filepath.Join(data, "schema.js"), []byte(text), 0o600),
		os.Symlink(".."+version, filepath.Join(mount, "..data_tmp")), os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join("..data", "schema.js"), filepath.Join(mount, "schema.js")); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
}

func waitMetric(t *testing.T, p *ddltailtest.Process, tick func(), want string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		tick()
		_, text, err := p.Get(t.Context(), "/metrics")
		if err == nil && strings.Contains(text, want+"\n") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s (%v) in\n%s\n%s", want, err, text, p.Stderr())
		}
	}
}
