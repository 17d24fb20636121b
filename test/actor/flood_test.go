package actor_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
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

var flood = flag.Duration("flood", 0, "how long each load of log lines lasts; 0 skips these tests")

// slowQuery is a log line of a server that logs every command.
const slowQuery = `{"t":{"$date":"%s"},"s":"I",  "c":"COMMAND",  "id":51803,   "ctx":"conn%d","msg":"Slow query","attr":{"type":"command","ns":"shop.orders",` +
	`"appName":"shop","command":{"find":"orders","filter":{"customer":%d},"limit":10,"lsid":{"id":{"$uuid":"4ad2f0f5-7a3e-4b0e-9d7e-0a0b0c0d0e0f"}},"$db":"shop"},` +
	`"planSummary":"IXSCAN { customer: 1 }","keysExamined":3,"docsExamined":3,"nreturned":3,"reslen":1203,"locks":{},"protocol":"op_msg","durationMillis":0}}` + "\n"

// appended writes lines of slow queries to a server's log at a rate until stop is closed, and returns their
// number.
func appended(path string, perSecond int, stop <-chan struct{}) (lines int, err error) {
	log, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	for began := time.Now(); !isClosed(stop); time.Sleep(5 * time.Millisecond) {
		var text strings.Builder
		for due := int(time.Since(began).Seconds() * float64(perSecond)); lines < due; lines++ {
			fmt.Fprintf(&text, slowQuery, time.Now().Format("2006-01-02T15:04:05.000Z07:00"), lines%100, lines)
		}
		if _, err := log.WriteString(text.String()); err != nil {
			return lines, err
		}
	}
	return lines, nil
}

// written returns how many lines a server has logged.
func (w world) written() int64 {
	w.Helper()
	var reply struct {
		Total int64 `bson:"totalLinesWritten"`
	}
	w.must(w.root.Database("admin").RunCommand(w.Context(), bson.D{{Key: "getLog", Value: "global"}}).Decode(&reply))
	return reply.Total
}

// logEverything makes the server log every command, and sends commands at a rate until stop is closed; 0 is as fast as it answers.
func (w world) logEverything(perSecond int, stop <-chan struct{}) {
	w.must(w.root.Database("admin").RunCommand(w.Context(), bson.D{{Key: "profile", Value: 0}, {Key: "slowms", Value: -1}}).Err())
	const senders = 16
	client, err := mongo.Connect(options.Client().ApplyURI(w.set.URI()).SetMaxPoolSize(senders))
	w.must(err)
	began := time.Now()
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for sent := 0; !isClosed(stop); sent++ {
				_ = client.Database("admin").RunCommand(context.Background(), bson.D{{Key: "ping", Value: 1}}).Err()
				if perSecond > 0 {
					time.Sleep(time.Duration(sent)*senders*time.Second/time.Duration(perSecond) - time.Since(began))
				}
			}
		})
	}
	all.Wait()
	_ = client.Disconnect(context.Background())
	w.must(w.root.Database("admin").RunCommand(w.Context(), bson.D{{Key: "profile", Value: 0}, {Key: "slowms", Value: 100}}).Err())
}

// TestFlood makes changes while 20,000 lines a second are logged. A log file is read in time; lines that getLog's ring buffer
// overwrites are counted as missed, and never lead to a wrong actor.
func TestFlood(t *testing.T) {
	if *flood == 0 {
		t.Skip("only with -flood")
	}
	for _, source := range []string{"file", "getlog"} {
		t.Run(source, func(t *testing.T) {
			w := newWorld(t, mongotest.Options{LogFile: true})
			variable := "DDLTAIL_ACTOR=getlog"
			if source == "file" {
				variable = "DDLTAIL_ACTOR=file:" + w.set.Members()[0].Log()
			}
			p := w.run("audit", variable)
			stop, before := make(chan struct{}), w.written()
			var lines int
			var err error
			var load sync.WaitGroup
			began := time.Now()
			if source == "file" {
				load.Go(func() { lines, err = appended(w.set.Members()[0].Log(), 20_000, stop) })
			} else {
				load.Go(func() { w.logEverything(0, stop) })
			}
			time.AfterFunc(*flood, func() { close(stop) })
			w.load(20*int(flood.Seconds()), 20, stop)
			load.Wait()
			w.must(err)
			took := time.Since(began)
			own := w.written() - before
			w.settled(p, "audit")
			missed := w.metric(p, "ddltail_actor_log_lines_missed_total")
			t.Logf("%.0f lines a second, %d in all, %.0f missed", float64(int64(lines)+own)/took.Seconds(), int64(lines)+own, missed)
			t.Log(w.lags("audit"))
			verdicts := w.judge("audit")
			if source == "file" && (missed > 0 || verdicts.share() < 0.99) {
				t.Errorf("%.1f %% of the changes whose line joins exactly have an actor, %.0f lines missed", 100*verdicts.share(), missed)
			}
			if source == "getlog" && missed == 0 {
				t.Error("no missed lines are counted")
			}
		})
	}
}

func (w world) metric(p *ddltailtest.Process, name string) float64 {
	w.Helper()
	value, err := p.Metric(w.Context(), name)
	w.must(err)
	return value
}

// lags describes how many actors were in their notifications, and how long after the change the others were
// stored.
func (w world) lags(database string) string {
	w.Helper()
	cursor, err := w.root.Database(database).Collection("schema_actors").Aggregate(w.Context(), mongo.Pipeline{
		{{Key: "$lookup", Value: bson.D{{Key: "from", Value: "schema_history"}, {Key: "localField", Value: "_id"}, {Key: "foreignField", Value: "_id"}, {Key: "as", Value: "change"}}}},
		{{Key: "$project", Value: bson.D{{Key: "ms", Value: bson.D{{Key: "$subtract", Value: bson.A{"$recorded_at", bson.D{{Key: "$first", Value: "$change.wall"}}}}}}}}},
	})
	w.must(err)
	var docs []struct {
		MS int64 `bson:"ms"`
	}
	w.must(cursor.All(w.Context(), &docs))
	inTime, err := w.root.Database(database).Collection("schema_history").CountDocuments(w.Context(), bson.D{{Key: "actor", Value: bson.D{{Key: "$exists", Value: true}}}})
	w.must(err)
	var late []float64
	for _, d := range docs {
		late = append(late, float64(d.MS))
	}
	return fmt.Sprintf("%d actors in time, %d late: %s", inTime, len(late), spread(late))
}

func spread(ms []float64) string {
	if len(ms) == 0 {
		return "-"
	}
	slices.Sort(ms)
	at := func(share float64) float64 { return ms[int(share*float64(len(ms)-1))] }
	return fmt.Sprintf("median %.1f ms, p99 %.1f ms, max %.1f ms", at(0.5), at(0.99), at(1))
}

// TestCost prints what each source costs at 0, 100 and 5,000 lines a second, in pairs: CPU of ddltail and of the server, and the time from
// a change's end to its notification.
func TestCost(t *testing.T) {
	if *flood == 0 {
		t.Skip("only with -flood")
	}
	w := newWorld(t, mongotest.Options{LogFile: true})
	server := w.set.Members()[0]
	phase := 0
	for _, lines := range []int{0, 100, 5_000} {
		for range 2 {
			for _, source := range []string{"off", "file:" + server.Log(), "getlog"} {
				phase++
				name, _, _ := strings.Cut(source, ":")
				t.Logf("%4d lines/s, %-6s %s", lines, name, w.cost(fmt.Sprintf("audit_%d", phase), source, lines))
			}
		}
	}
}

func (w world) cost(database, source string, lines int) string {
	w.Helper()
	p, err := ddltailtest.Start(binary, []string{"run"}, "DDLTAIL_MONGODB_URI="+w.set.URI(), "DDLTAIL_DATABASE="+database, "DDLTAIL_NAME="+database, "DDLTAIL_ACTOR="+source)
	w.must(err)
	defer p.Close()
	w.must(p.WaitReady(w.Context()))
	stop := make(chan struct{})
	var load sync.WaitGroup
	if lines > 0 {
		load.Go(func() { w.logEverything(lines, stop) })
	}
	client := w.connect(0)
	defer func() { _ = client.Disconnect(context.Background()) }()
	stream, err := w.root.Database(database).Collection("schema_history").Watch(w.Context(), mongo.Pipeline{})
	w.must(err)
	defer stream.Close(context.Background())
	server := w.set.Members()[0].Pid()
	logged := w.written()
	began, own, other := time.Now(), processorTime(w, p.Pid()), processorTime(w, server)
	var latencies []float64
	for i := 0; time.Since(began) < *flood; i++ {
		w.must(client.Database("of_0_"+database).CreateCollection(w.Context(), fmt.Sprintf("of_0_%d", i)))
		changed := time.Now()
		if !stream.Next(w.Context()) {
			w.Fatal(stream.Err())
		}
		latencies = append(latencies, float64(time.Since(changed).Microseconds())/1000)
		time.Sleep(100 * time.Millisecond)
	}
	took := time.Since(began)
	own, other = processorTime(w, p.Pid())-own, processorTime(w, server)-other
	logged = w.written() - logged
	close(stop)
	load.Wait()
	percent := func(d time.Duration) float64 { return 100 * d.Seconds() / took.Seconds() }
	return fmt.Sprintf("(%.0f) ddltail %.1f %% CPU, mongod %.1f %% CPU, %d changes: %s",
		float64(logged)/took.Seconds(), percent(own), percent(other), len(latencies), spread(latencies))
}

// processorTime returns the CPU time of a process.
func processorTime(w world, pid int) time.Duration {
	w.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	w.must(err)
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	ticks := 0
	for _, field := range fields[11:13] { // user and system
		n, err := strconv.Atoi(field)
		w.must(err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
