// Package bench measures ddltail's reading beside what a tool would do that reads
// the oplog as it is, in the same run and on the same server.
package bench

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/test/mongotest"
)

// entries is how many oplog entries there are to catch up through, none of them DDL
// but one in a thousand.
const entries = 300_000

var set *mongotest.ReplicaSet

func TestMain(m *testing.M) {
	os.Exit(mongotest.Main{Tests: m, Set: &set}.Run())
}

// BenchmarkCatchUp reads the same stretch of oplog twice: as ddltail does, and all
// entries to the client, to be filtered there. It reports the ratio of the times.
func BenchmarkCatchUp(b *testing.B) {
	client := mongotest.Connect(b, set.URI())
	member := oplog.Member{Host: set.Hosts(), Client: client}
	start, err := member.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	fill(b, client)
	var ours, peers time.Duration
	for b.Loop() {
		peers += readAll(b, client, start)
		ours += readFiltered(b, member, start)
	}
	b.ReportMetric(float64(peers)/float64(ours), "times-faster")
	b.ReportMetric(float64(entries*b.N)/ours.Seconds(), "entries/s")
}

func fill(b *testing.B, client *mongo.Client) {
	db := client.Database("filler")
	docs := make([]any, 1000)
	for i := range docs {
		docs[i] = bson.D{{Key: "pad", Value: strings.Repeat("x", 100)}}
	}
	for i := range entries / len(docs) {
		if _, err := db.Collection("docs").InsertMany(b.Context(), docs); err != nil {
			b.Fatal(err)
		}
		if err := db.CreateCollection(b.Context(), "c"+time.Duration(i).String()); err != nil {
			b.Fatal(err)
		}
	}
}

func readAll(b *testing.B, client *mongo.Client, start oplog.OpTime) time.Duration {
	began := time.Now()
	cur, err := client.Database("local").Collection("oplog.rs").Find(b.Context(),
		bson.D{{Key: "ts", Value: bson.D{{Key: "$gt", Value: start.TS}}}}, options.Find().SetBatchSize(10_000))
	if err != nil {
		b.Fatal(err)
	}
	commands := 0
	for cur.Next(b.Context()) {
		if op, _ := cur.Current.Lookup("op").StringValueOK(); op == oplog.OpCommand {
			commands++
		}
	}
	if err := cur.Err(); err != nil || commands < entries/1000 {
		b.Fatalf("%d commands, %v", commands, err)
	}
	return time.Since(began)
}

func readFiltered(b *testing.B, member oplog.Member, start oplog.OpTime) time.Duration {
	began := time.Now()
	head, err := member.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	reader, err := oplog.Open(b.Context(), member, oplog.Start{Position: start})
	if err != nil {
		b.Fatal(err)
	}
	defer reader.Close()
	commands := 0
	for at := start.TS; at.Before(head.TS); {
		batch, err := reader.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		commands += len(batch.Entries)
		at = batch.Scanned
	}
	if commands < entries/1000 {
		b.Fatalf("%d commands", commands)
	}
	return time.Since(began)
}
