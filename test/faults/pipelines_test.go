package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/brokertest"
	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/faults/load"
	"github.com/ddltail/ddltail/test/sinktest"
)

const (
	// topic is the name of the topic and of the stream.
	topic = "ddl"
	// changesPerRound results in 10,000 changes in 20 rounds.
	changesPerRound = 500
)

// brokers is a scene with two brokers and two detectors for each.
type brokers struct {
	*scene
	kafka brokertest.Kafka
	nats  brokertest.NATS
}

func newBrokers(t *testing.T) brokers {
	slow(t)
	b := brokers{scene: newScene(t), kafka: brokertest.NewKafka(t), nats: brokertest.NewNATS(t)}
	b.must(b.kafka.CreateTopic(t.Context(), topic, 1))
	// Longer than any outage, so that duplicates of messages stored before it are detected
	// after it.
	b.must(b.nats.CreateStream(t.Context(), topic, func(c *jetstream.StreamConfig) { c.Duplicates = 10 * time.Minute }))
	return b
}

// produce starts a detector that produces to Kafka, publish one that publishes to NATS.
func (b brokers) produce() *ddltailtest.Process {
	return b.run("DDLTAIL_NAME=kafka", "DDLTAIL_SINKS=kafka:"+topic, "DDLTAIL_KAFKA_BROKERS="+b.kafka.Addr())
}

func (b brokers) publish() *ddltailtest.Process {
	return b.run("DDLTAIL_NAME=nats", "DDLTAIL_SINKS=nats:"+topic, "DDLTAIL_NATS_URL="+b.nats.URL())
}

// settled waits until both brokers have the last change, and judges the run including what
// their consumers read.
func (b brokers) settled() {
	b.Helper()
	end := b.finishAfter(func(end bson.Timestamp) {
		last := lastAt(b.published("history", end), end)
		read, byJava := b.consumed(last)
		b.receive(ledger.Sink{Name: "Kafka, Go", Repeats: true}, read)
		b.receive(ledger.Sink{Name: "Kafka, Java", Repeats: true}, byJava)
		b.receive(ledger.Sink{Name: "NATS"}, b.stored(last))
	})
	b.judge(end)
}

// receive records the _ids that a consumer received.
func (s *scene) receive(sink ledger.Sink, ids []string) {
	s.others = append(s.others, sink)
	for _, id := range ids {
		s.received = append(s.received, ledger.Write{Sink: sink.Name, Action: ledger.Insert, ID: id})
	}
}

// lastAt returns the id of the last document at or before a timestamp.
func lastAt(docs []ledger.Document, end bson.Timestamp) string {
	place := fmt.Sprintf("%s:%010d:%010d:", source, end.T, end.I)
	last := ""
	for _, d := range docs {
		if id := d.ID; strings.HasPrefix(id, place) && id > last {
			last = id
		}
	}
	return last
}

// consumed reads the topic from its beginning with two clients, until each has the last id.
func (b brokers) consumed(last string) (read, byJava []string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	records, err := b.kafka.Consume(ctx, topic, func(records []brokertest.Record) bool {
		return slices.ContainsFunc(records, func(r brokertest.Record) bool { return r.Headers["ddltail-id"] == last })
	})
	b.must(err)
	for _, r := range records {
		if r.Headers["ddltail-copy"] == "" {
			read = append(read, r.Headers["ddltail-id"])
		}
	}
	byJava, err = b.kafka.ConsumeByJava(ctx, topic, last)
	b.must(err)
	return read, byJava
}

// stored reads the stream from its beginning until it has the last id.
func (b brokers) stored(last string) []string {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	messages, err := b.nats.Consume(ctx, topic, func(messages []brokertest.Message) bool {
		return slices.ContainsFunc(messages, func(m brokertest.Message) bool { return m.Headers["ddltail-id"] == last })
	})
	b.must(err)
	ids := make([]string, len(messages))
	for i, m := range messages {
		ids[i] = m.Headers["ddltail-id"]
	}
	return ids
}

// TestBrokersKilled kills the brokers, and alternately the two detectors of each.
func TestBrokersKilled(t *testing.T) {
	b := newBrokers(t)
	b.ready(b.run())
	produce := []*ddltailtest.Process{b.produce(), b.produce()}
	publish := []*ddltailtest.Process{b.publish(), b.publish()}
	for _, p := range append(produce, publish...) {
		b.ready(p)
	}
	b.startLoad()
	more, err := load.Start(b.set.URI(), &b.ledger, "more")
	b.must(err)
	for i := range times() {
		b.must(b.kafka.Kill())
		b.must(b.nats.Kill())
		b.while(100, 900)
		b.kill(produce[i%2])
		b.kill(publish[i%2])
		b.must(b.nats.Start(t.Context()))
		publish[i%2] = b.publish()
		produce[i%2] = b.produce()
		b.must(b.kafka.Start(t.Context()))
		b.while(500, 2000)
	}
	history := b.sink.Database(database).Collection("schema_history")
	for {
		n, err := history.CountDocuments(t.Context(), bson.D{})
		b.must(err)
		if n >= int64(changesPerRound*times()) {
			break
		}
		time.Sleep(time.Second)
	}
	b.must(more.Stop(t.Context()))
	b.settled()
}

// TestBrokerOutage stops the brokers for two minutes under load, first paused, then killed. The history does not wait for them.
func TestBrokerOutage(t *testing.T) {
	b := newBrokers(t)
	b.ready(b.run())
	produce, publish := b.produce(), b.publish()
	b.ready(produce)
	b.ready(publish)
	b.startLoad()
	b.while(2000, 2001)
	for _, killed := range []bool{false, true} {
		stop := []func() error{b.kafka.Pause, b.nats.Pause}
		start := []func() error{b.kafka.Resume, b.nats.Resume}
		if killed {
			stop = []func() error{b.kafka.Kill, b.nats.Kill}
			start = []func() error{func() error { return b.kafka.Start(t.Context()) }, func() error { return b.nats.Start(t.Context()) }}
		}
		before := []int{memory(b.scene, produce, "VmRSS"), memory(b.scene, publish, "VmRSS")}
		for _, step := range stop {
			b.must(step())
		}
		time.Sleep(lasting(6*time.Second, 2*time.Minute))
		during := []int{memory(b.scene, produce, "VmRSS"), memory(b.scene, publish, "VmRSS")}
		began := time.Now()
		b.published("history", b.mark("during_the_outage"))
		b.Logf("brokers killed %t: resident memory %d MB before, %d MB at the end of the outage (Kafka, NATS); the history had a change after %s",
			killed, before, during, time.Since(began).Round(time.Millisecond))
		for i := range during {
			if during[i] > before[i]+slack {
				t.Errorf("resident memory rose from %d to %d MB", before[i], during[i])
			}
		}
		for _, step := range start {
			b.must(step())
		}
		b.while(2000, 4000)
	}
	b.settled()
}

// TestBestEffort stops a broker until the queue of a best-effort sink overflows: history and
// queue are not delayed, and each document that is missing in the topic is counted as dropped.
func TestBestEffort(t *testing.T) {
	b := newBrokers(t)
	p := b.run("DDLTAIL_SINKS=mongodb,kafka:"+topic+"?required=false", "DDLTAIL_KAFKA_BROKERS="+b.kafka.Addr())
	b.ready(p)
	b.startLoad()
	b.while(1000, 2000)
	b.must(b.kafka.Kill())
	// Each takes several MB of the queue.
	for i := range 12 {
		validator := bson.D{{Key: "$expr", Value: bson.D{{Key: "$ne", Value: bson.A{"$x", strings.Repeat("x", 1<<20)}}}}}
		name := fmt.Sprintf("large_%d", i)
		b.must(b.client.Database(loadDatabase+"_large").CreateCollection(t.Context(), name, options.CreateCollection().SetValidator(validator)))
		b.ledger.Acknowledged(ledger.Effect{Operation: "CREATE_COLLECTION", NS: loadDatabase + "_large." + name})
	}
	began := time.Now()
	b.published("history", b.mark("during_the_outage"))
	waited := time.Since(began)
	b.while(5000, 10000)
	b.must(b.kafka.Start(t.Context()))
	var read []string
	var dropped float64
	end := b.finishAfter(func(end bson.Timestamp) {
		read, _ = b.consumed(lastAt(b.published("history", end), end))
		b.receive(ledger.Sink{Name: "kafka", Repeats: true, Partial: true}, read)
		var err error
		dropped, err = p.Metric(t.Context(), `ddltail_sink_dropped_total{sink="kafka"}`)
		b.must(err)
	})
	b.judge(end)
	rising := sinktest.Rising(read)
	lost := 0
	for _, d := range b.published("history", end) {
		if d.ID <= rising[len(rising)-1] && !slices.Contains(rising, d.ID) {
			lost++
		}
	}
	b.Logf("%d in the topic, %d missing, %.0f counted as dropped; the history had a change after %s",
		len(rising), lost, dropped, waited.Round(time.Millisecond))
	if lost == 0 || float64(lost) != dropped {
		t.Errorf("%d are not in the topic, %.0f are counted as dropped", lost, dropped)
	}
}
