package bench

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

const (
	// inOne is the number of 1 kB documents in an ordinary transaction.
	inOne = 100
	// inChain is the number in a transaction of three oplog entries of 16 MB.
	inChain = 42_000
	chains  = 4
)

// documents returns the number of 1 kB documents, all written in transactions, of which
// one in a thousand contains DDL: DDLTAIL_BENCH_DOCUMENTS, by default a million.
func documents(b *testing.B) int { return numberFrom(b, "DDLTAIL_BENCH_DOCUMENTS", 1_000_000) }

// BenchmarkTransactions reads an oplog of large transactions with `ddltail run` and with
// a reader of all entries. It reports the share of the bytes that ddltail received, both
// durations, and ddltail's memory.
func BenchmarkTransactions(b *testing.B) {
	set := mongotest.NewReplicaSet(b, mongotest.Options{OplogSizeMB: 4000})
	client := mongotest.Connect(b, set.URI())
	// A transaction of several entries must fit in the cache, which tests keep small.
	cache := bson.D{{Key: "setParameter", Value: 1}, {Key: "wiredTigerEngineRuntimeConfig", Value: "cache_size=1G"}}
	if err := client.Database("admin").RunCommand(b.Context(), cache).Err(); err != nil {
		b.Fatal(err)
	}
	began := head(b, client)
	ddl := fillTransactions(b, client)
	binary, err := ddltailtest.Build(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		everything := newProxy(b, set.Hosts())
		peer := readEverything(b, mongotest.Connect(b, everything.uri("")), began)
		filtered := newProxy(b, set.Hosts())
		took, peak := follow(b, binary, filtered.uri("ddltail"), client, ddl)
		b.ReportMetric(100*float64(filtered.received.Load())/float64(everything.received.Load()), "%-of-bytes")
		b.ReportMetric(float64(everything.received.Load())/1e6, "MB-of-oplog")
		b.ReportMetric(float64(filtered.received.Load())/1e6, "MB-received")
		b.ReportMetric(peer.Seconds(), "s-peer")
		b.ReportMetric(took.Seconds(), "s-ddltail")
		b.ReportMetric(peak/1e6, "MB-resident")
	}
}

func head(b *testing.B, client *mongo.Client) bson.Timestamp {
	var newest struct {
		TS bson.Timestamp `bson:"ts"`
	}
	err := client.Database("local").Collection("oplog.rs").FindOne(b.Context(), bson.D{}, options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})).Decode(&newest)
	if err != nil {
		b.Fatal(err)
	}
	return newest.TS
}

// fillTransactions writes the transactions and returns the number of collections that
// they created.
func fillTransactions(b *testing.B, client *mongo.Client) int {
	db := client.Database("filler")
	if err := db.CreateCollection(b.Context(), "docs"); err != nil {
		b.Fatal(err)
	}
	ddl := 0
	for i := range documents(b) / inOne {
		var also string
		if i%1000 == 0 {
			also = fmt.Sprintf("small_%d", i)
			ddl++
		}
		inTransaction(b, db, also, inOne)
	}
	for i := range chains {
		var also string
		if i%2 == 0 {
			also = fmt.Sprintf("large_%d", i)
			ddl++
		}
		inTransaction(b, db, also, inChain)
	}
	if err := db.CreateCollection(b.Context(), "last"); err != nil {
		b.Fatal(err)
	}
	return ddl
}

// inTransaction writes n documents, after creating the collection also, if it is set.
func inTransaction(b *testing.B, db *mongo.Database, also string, n int) {
	session, err := db.Client().StartSession()
	if err != nil {
		b.Fatal(err)
	}
	defer session.EndSession(b.Context())
	_, err = session.WithTransaction(b.Context(), func(ctx context.Context) (any, error) {
		if also != "" {
			if err := db.CreateCollection(ctx, also); err != nil {
				return nil, err
			}
		}
		docs := make([]any, min(n, 1000))
		for left := n; left > 0; left -= len(docs) {
			for i := range docs {
				docs[i] = bson.D{{Key: "pad", Value: strings.Repeat("x", 1000)}}
			}
			if _, err := db.Collection("docs").InsertMany(ctx, docs); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func readEverything(b *testing.B, client *mongo.Client, from bson.Timestamp) time.Duration {
	began := time.Now()
	cur, err := client.Database("local").Collection("oplog.rs").Find(b.Context(),
		bson.D{{Key: "ts", Value: bson.D{{Key: "$gt", Value: from}}}}, options.Find().SetBatchSize(10_000))
	if err != nil {
		b.Fatal(err)
	}
	for cur.Next(b.Context()) {
	}
	if err := cur.Err(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// follow runs ddltail from the oldest entry until the last change is reported, and
// returns the duration and the peak memory in bytes.
func follow(b *testing.B, binary, uri string, client *mongo.Client, ddl int) (time.Duration, float64) {
	began := time.Now()
	p, err := ddltailtest.Start(binary, []string{"run"}, "DDLTAIL_MONGODB_URI="+uri, "DDLTAIL_START=oldest")
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	queue := client.Database("ddltail").Collection("schema_notifications")
	var peak float64
	for queue.FindOne(b.Context(), bson.D{{Key: "collection", Value: "last"}}).Err() != nil {
		if time.Since(began) > 10*time.Minute {
			b.Fatalf("the last change is not reported:\n%s", p.Stderr())
		}
		time.Sleep(50 * time.Millisecond)
		if now, err := p.Metric(b.Context(), "process_resident_memory_bytes"); err == nil {
			peak = max(peak, now)
		}
	}
	took := time.Since(began)
	n, err := queue.CountDocuments(b.Context(), bson.D{{Key: "collection", Value: bson.Regex{Pattern: "^(small|large)_"}}})
	if err != nil || int(n) != ddl {
		b.Fatalf("%d of the collections made in transactions are reported, want %d: %v", n, ddl, err)
	}
	return took, peak
}
