package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
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

// collections returns the number of collections at a first start, each with three
// indexes: DDLTAIL_BENCH_COLLECTIONS, by default 10,000.
func collections(b *testing.B) int { return numberFrom(b, "DDLTAIL_BENCH_COLLECTIONS", 10_000) }

func numberFrom(b *testing.B, variable string, standard int) int {
	text := os.Getenv(variable)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("%s: %v", variable, err)
	}
	return n
}

// BenchmarkFirstStart starts ddltail on a set with many collections while a client
// changes them, and reports its memory and the time until it was ready, compared with a
// plain listing by the driver. Afterwards the catalog must equal the server's.
func BenchmarkFirstStart(b *testing.B) {
	set := mongotest.NewReplicaSet(b, mongotest.Options{})
	client := mongotest.Connect(b, set.URI())
	// With five files for each collection, the server would exceed the limit of open files.
	files := bson.D{{Key: "setParameter", Value: 1}, {Key: "wiredTigerEngineRuntimeConfig",
		Value: "file_manager=(close_idle_time=1,close_scan_interval=1,close_handle_minimum=250)"}}
	if err := client.Database("admin").RunCommand(b.Context(), files).Err(); err != nil {
		b.Fatal(err)
	}
	fillCollections(b, client)
	binary, err := ddltailtest.Build(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		began := time.Now()
		list(b, client)
		b.ReportMetric(time.Since(began).Seconds(), "s-bare-listing")
		firstStart(b, binary, set, client)
	}
}

func fillCollections(b *testing.B, client *mongo.Client) {
	var wg sync.WaitGroup
	n := collections(b)
	for worker := range 4 {
		wg.Go(func() {
			for i := worker; i < n; i += 4 {
				if err := client.Database(fmt.Sprintf("tenant%d", i%10)).RunCommand(b.Context(), threeIndexes(i)).Err(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func threeIndexes(i int) bson.D {
	var specs bson.A
	for _, field := range []string{"a", "b", "c"} {
		specs = append(specs, bson.D{{Key: "key", Value: bson.D{{Key: field, Value: 1}}}, {Key: "name", Value: field + "_1"}})
	}
	return bson.D{{Key: "createIndexes", Value: fmt.Sprintf("c%05d", i)}, {Key: "indexes", Value: specs}}
}

func firstStart(b *testing.B, binary string, set *mongotest.ReplicaSet, client *mongo.Client) {
	p, err := ddltailtest.Start(binary, []string{"run"}, "DDLTAIL_MONGODB_URI="+set.URIOf("", "", "reported"))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	began := time.Now()
	changing, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	changes := 0
	wg.Go(func() { changes = change(changing, b, client) })
	if err := p.WaitReady(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(began).Seconds(), "s-until-ready")
	stop()
	wg.Wait()
	b.ReportMetric(float64(changes), "changes-meanwhile")
	resident, err := p.Metric(b.Context(), "process_resident_memory_bytes")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(resident/1e6, "MB-resident")
	b.ReportMetric(float64(strings.Count(p.Stderr(), `"taking the catalog snapshot"`)), "lines-of-progress")
	compareCatalog(b, client, p)
}

// change drops, creates and modifies collections until the context ends.
func change(ctx context.Context, b *testing.B, client *mongo.Client) int {
	n, most := 0, collections(b)
	for ; ctx.Err() == nil && n < most; n++ {
		db := client.Database(fmt.Sprintf("tenant%d", n%10))
		name := fmt.Sprintf("c%05d", n)
		cmds := []bson.D{
			{{Key: "drop", Value: name}},
			{{Key: "dropIndexes", Value: name}, {Key: "index", Value: "b_1"}},
			{{Key: "create", Value: "new_" + name}},
		}
		if err := db.RunCommand(b.Context(), cmds[n%len(cmds)]).Err(); err != nil {
			b.Errorf("%v: %v", cmds[n%len(cmds)], err)
			return n
		}
	}
	return n
}

// compareCatalog waits until the last change is reported, and compares the newest versions
// with the server.
func compareCatalog(b *testing.B, client *mongo.Client, p *ddltailtest.Process) {
	if err := client.Database("tenant0").CreateCollection(b.Context(), "last"); err != nil {
		b.Fatal(err)
	}
	versions := client.Database("reported").Collection("schema_catalog")
	for began := time.Now(); versions.FindOne(b.Context(), bson.D{{Key: "ns", Value: "tenant0.last"}}).Err() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			b.Fatalf("the last change is not in the catalog:\n%s", p.Stderr())
		}
	}
	cur, err := versions.Find(b.Context(), bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		b.Fatal(err)
	}
	got := map[string]string{}
	for cur.Next(b.Context()) {
		ns := cur.Current.Lookup("ns").StringValue()
		delete(got, ns)
		if cur.Current.Lookup("definition").Type != bson.TypeNull {
			specs, _ := cur.Current.Lookup("definition", "indexes").ArrayOK()
			got[ns] = indexNames(specs)
		}
	}
	want := list(b, client)
	for ns, indexes := range want {
		if have, ok := got[ns]; !ok || have != indexes {
			b.Errorf("%s has the indexes %q in the catalog, and %q on the server", ns, got[ns], indexes)
		}
	}
	if len(got) != len(want) {
		b.Errorf("the catalog has %d collections, the server %d", len(got), len(want))
	}
}

func indexNames(specs bson.RawArray) string {
	values, _ := specs.Values()
	var names []string
	for _, v := range values {
		if name := v.Document().Lookup("name").StringValue(); name != "_id_" {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// list lists the indexes of the server's collections.
func list(b *testing.B, client *mongo.Client) map[string]string {
	found := map[string]string{}
	for i := range 10 {
		db := client.Database(fmt.Sprintf("tenant%d", i))
		names, err := db.ListCollectionNames(b.Context(), bson.D{})
		if err != nil {
			b.Fatal(err)
		}
		for _, name := range names {
			reply, err := db.RunCommand(b.Context(), bson.D{{Key: "listIndexes", Value: name}}).Raw()
			if err != nil {
				b.Fatal(err)
			}
			found[db.Name()+"."+name] = indexNames(reply.Lookup("cursor", "firstBatch").Array())
		}
	}
	return found
}
