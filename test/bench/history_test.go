package bench

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/catalog"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

const (
	// changes and namespaces are the numbers of documents in the history and of namespaces
	// in it.
	changes    = 1_000_000
	namespaces = 50_000
	// spread is the time between two changes.
	spread = 10 * time.Second
)

// BenchmarkHistory queries a long history with the binary, and reports the time and the
// memory of each query.
func BenchmarkHistory(b *testing.B) {
	binary, err := ddltailtest.Build(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	db := mongotest.Connect(b, set.URI()).Database("long_history")
	fillHistory(b, db)
	for _, q := range []struct {
		name string
		args []string
	}{
		{"ns-since", []string{"history", "--ns", "db.c7", "--since", "1d"}},
		{"glob-since", []string{"history", "--ns", "db.c7*", "--since", "1d"}},
		{"newest", []string{"history"}},
		{"operation-newest", []string{"history", "--operation", "CREATE_COLLECTION"}},
		{"all-json", []string{"history", "--format", "json"}},
		{"as-of", []string{"history", "--as-of", "30d", "--format", "json"}},
		{"as-of-ns", []string{"history", "--as-of", "30d", "--ns", "db.c7", "--format", "json"}},
		{"diff", []string{"history", "diff", "30d", "29d", "--format", "json"}},
	} {
		b.Run(q.name, func(b *testing.B) { ask(b, binary, db.Name(), q.args) })
	}
}

func ask(b *testing.B, binary, database string, args []string) {
	peak := 0
	for b.Loop() {
		cmd := exec.CommandContext(b.Context(), binary, args...)
		cmd.Env = append(os.Environ(), "DDLTAIL_MONGODB_URI="+set.URI(), "DDLTAIL_DATABASE="+database)
		cmd.Stdout = io.Discard
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for running := true; running; {
			select {
			case err := <-ended:
				running = false
				if err != nil {
					b.Fatal(err)
				}
			case <-time.After(10 * time.Millisecond):
				peak = max(peak, peakOf(cmd.Process.Pid))
			}
		}
	}
	b.ReportMetric(float64(peak)/1024, "MB-peak")
}

// peakOf returns the peak resident memory of a process in kB. getrusage would include the
// parent's size for a child.
func peakOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kilobytes := 0
	if _, err := fmt.Sscanf(rest, "%d", &kilobytes); err != nil {
		return 0
	}
	return kilobytes
}

func fillHistory(b *testing.B, db *mongo.Database) {
	b.Helper()
	if err := store.SetupHistory(b.Context(), db, ownindex.Create); err != nil {
		b.Fatal(err)
	}
	versioned := catalog.NewStore(db.Collection(store.Catalog), "rs0")
	if err := versioned.Setup(b.Context(), ownindex.Create); err != nil {
		b.Fatal(err)
	}
	const batch = 5000
	begin := time.Now().Add(-changes * spread)
	var changed, versions []any
	for i := range changes {
		at := begin.Add(time.Duration(i) * spread).Truncate(time.Millisecond)
		coll := fmt.Sprintf("c%d", i%namespaces)
		changed, versions = append(changed, changeOf(i, at, coll)), append(versions, versionOf(i, at, coll))
		if len(changed) == batch {
			for name, docs := range map[string][]any{store.History: changed, store.Catalog: versions} {
				if _, err := db.Collection(name).InsertMany(b.Context(), docs, options.InsertMany().SetOrdered(false)); err != nil {
					b.Fatal(err)
				}
			}
			changed, versions = nil, nil
		}
	}
}

func optime(at time.Time) bson.E {
	return bson.E{Key: "optime", Value: bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(at.Unix()), I: 1}}, {Key: "t", Value: int64(1)}}}
}

func changeOf(i int, at time.Time, coll string) bson.D {
	operation := []string{"CREATE_COLLECTION", "CREATE_INDEX", "DROP_INDEX", "DROP_COLLECTION"}[i/namespaces%4]
	statement := "db.getSiblingDB('db').getCollection('" + coll + "').createIndex({amount: 1}, {name: 'amount_idx'})"
	return bson.D{
		{Key: "_id", Value: fmt.Sprintf("rs0:%010d:0000000001:000000", at.Unix())}, {Key: "operation", Value: operation},
		{Key: "collection", Value: coll}, {Key: "operation_statement", Value: statement}, {Key: "timestamp", Value: float64(at.UnixMilli()) / 1000},
		{Key: "database", Value: "db"}, {Key: "ns", Value: "db." + coll}, {Key: "mongosh", Value: statement}, {Key: "undo", Value: statement},
		{Key: "after", Value: bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "amount", Value: 1}}}, {Key: "name", Value: "amount_idx"}}},
		optime(at), {Key: "wall", Value: at}, {Key: "detected_at", Value: at}, {Key: "replica_set", Value: "rs0"}, {Key: "source", Value: "oplog"},
	}
}

func versionOf(i int, at time.Time, coll string) bson.D {
	indexes := bson.A{}
	for n := range i % 4 {
		indexes = append(indexes, bson.D{{Key: "v", Value: 2}, {Key: "key", Value: bson.D{{Key: "amount", Value: 1}}}, {Key: "name", Value: fmt.Sprintf("i%d", n)}})
	}
	return bson.D{
		{Key: "_id", Value: fmt.Sprintf("rs0:%010d:0000000001:db.%s", at.Unix(), coll)}, {Key: "source", Value: "rs0"},
		{Key: "ns", Value: "db." + coll}, {Key: "database", Value: "db"}, {Key: "collection", Value: coll}, {Key: "kind", Value: "collection"},
		optime(at), {Key: "wall", Value: at}, {Key: "temp", Value: false},
		{Key: "definition", Value: bson.D{{Key: "options", Value: bson.D{{Key: "size", Value: i}}}, {Key: "indexes", Value: indexes}}},
	}
}
