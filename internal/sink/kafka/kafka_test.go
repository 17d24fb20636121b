package kafka

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/test/brokertest"
	"github.com/ddltail/ddltail/test/sinktest"
)

// patience bounds the reading of a topic.
const patience = time.Minute

// TestKafka runs everything that needs a broker on one.
func TestKafka(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a broker")
	}
	broker := brokertest.NewKafka(t)
	for name, test := range map[string]func(*testing.T, brokertest.Kafka){
		"suite": suite, "missing topic": missingTopic, "authentication": authentication, "tls": encrypted,
	} {
		t.Run(name, func(t *testing.T) { test(t, broker) })
	}
}

func suite(t *testing.T, broker brokertest.Kafka) {
	var topics atomic.Int32
	sinktest.Run(t, func(t *testing.T) sinktest.Target {
		topic := fmt.Sprintf("topic-%d", topics.Add(1))
		create(t, broker, topic, 1)
		var report sinktest.Report
		target := sinktest.Target{
			Open:  func(t *testing.T) sink.Sink { return openTopic(t, broker, topic, &report) },
			Limit: defaultMaxBytes,
			Kill:  broker.Kill, Restart: func() error { return broker.Start(t.Context()) },
			Pause: broker.Pause, Resume: broker.Resume,
			OpenRefusing: func(t *testing.T) sink.Sink {
				topic = "small-" + topic
				create(t, broker, topic, 1, "max.message.bytes=50000")
				return openTopic(t, broker, topic, &report)
			},
			Refused: func() int { n, _, _ := report.Counts(); return n },
		}
		target.Read = func(t *testing.T, last string) []string { return values(consume(t, broker, topic, last)) }
		return target
	})
}

func create(t *testing.T, broker brokertest.Kafka, topic string, partitions int, configs ...string) {
	t.Helper()
	if err := broker.CreateTopic(t.Context(), topic, partitions, configs...); err != nil {
		t.Fatal(err)
	}
}

// openTopic opens a sink as the registry does, and sets it up.
func openTopic(t *testing.T, broker brokertest.Kafka, topic string, report sink.Report) *Topic {
	t.Helper()
	s := newTopic(t, topic, sink.Values{"KAFKA_BROKERS": broker.Addr()}, report)
	if err := s.Setup(t.Context(), sink.Own{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func newTopic(t *testing.T, specification string, values sink.Values, report sink.Report) *Topic {
	t.Helper()
	spec, err := sink.Registry{Kind()}.Parse("kafka:" + specification)
	if err != nil {
		t.Fatal(err)
	}
	if problems := check(spec, values); len(problems) > 0 {
		t.Fatal(problems)
	}
	s := open(spec, values, sink.Resources{Report: report})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// consume reads a topic until it holds the record with an id.
func consume(t *testing.T, broker brokertest.Kafka, topic, last string) []brokertest.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	records, err := broker.Consume(ctx, topic, func(read []brokertest.Record) bool {
		return len(read) > 0 && read[len(read)-1].Headers["ddltail-id"] == last
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// values are those of the records that are no copies.
func values(records []brokertest.Record) []string {
	var all []string
	for _, r := range records {
		if r.Headers["ddltail-copy"] == "" {
			all = append(all, r.Value)
		}
	}
	return all
}
