package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/test/brokertest"
	"github.com/ddltail/ddltail/test/sinktest"
)

// largest is the default of max_bytes.
const largest = 1_000_000

// TestPipelines runs three detectors on one set: one for the history, one for Kafka and one
// for NATS. A consumer of each broker must read the changes of the history in its order,
// including large definitions and hostile names.
func TestPipelines(t *testing.T) {
	s := newScene(t, "pipelines_db")
	kafka, nats := brokertest.NewKafka(t), brokertest.NewNATS(t)
	s.must(nats.CreateStream(t.Context(), "ddl", nil))
	s.start()
	only := "DDLTAIL_NAMESPACES=pipelines_db.*"
	s.start(only, "DDLTAIL_NAME=kafka", "DDLTAIL_SINKS=kafka:ddl?create=true", "DDLTAIL_KAFKA_BROKERS="+kafka.Addr())
	s.start(only, "DDLTAIL_NAME=nats", "DDLTAIL_SINKS=nats:ddl?format=cloudevents", "DDLTAIL_NATS_URL="+nats.URL())

	large := bson.D{{Key: "$expr", Value: bson.D{{Key: "$ne", Value: bson.A{"$x", strings.Repeat("é", 2<<20)}}}}}
	s.must(s.db.CreateCollection(t.Context(), "payments", options.CreateCollection().SetValidator(large)))
	for _, name := range []string{strings.Repeat("n", 200), "\x01\x02\r\n\x7f", "last"} {
		s.must(s.db.CreateCollection(t.Context(), name))
	}
	s.must(s.client.Database("admin").RunCommand(t.Context(), bson.D{
		{Key: "renameCollection", Value: "pipelines_db.last"}, {Key: "to", Value: "pipelines_db.renamed"}}).Err())
	var want []string
	for _, doc := range s.documents("schema_history", 5) {
		want = append(want, doc.Lookup("_id").StringValue())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	byJava, err := kafka.ConsumeByJava(ctx, "ddl", want[len(want)-1])
	s.must(err)
	if got := sinktest.Rising(byJava); !slices.Equal(got, want) {
		t.Errorf("the Java consumer read %q, want %q", got, want)
	}
	records, err := kafka.Consume(ctx, "ddl", func(read []brokertest.Record) bool { return len(read) == len(want)+1 })
	s.must(err)
	for _, r := range records {
		if len(r.Value) > largest {
			t.Errorf("a record of %d bytes", len(r.Value))
		}
	}
	if first, last := records[0], records[len(records)-1]; first.Key != "pipelines_db.payments" || !strings.Contains(first.Value, `"truncated":["after","mongosh"`) ||
		last.Key != "pipelines_db.renamed" || last.Headers["ddltail-copy"] != "true" || last.Headers["ddltail-operation"] != "RENAME_COLLECTION" {
		t.Errorf("the first record is %.80s, the last %v", first.Value[max(0, len(first.Value)-80):], last)
	}
	messages, err := nats.Consume(ctx, "ddl", func(read []brokertest.Message) bool { return len(read) == len(want) })
	s.must(err)
	var got []string
	for _, m := range messages {
		got = append(got, m.Headers["ddltail-id"])
	}
	if !slices.Equal(got, want) || !strings.HasPrefix(messages[0].Value, `{"specversion":"1.0","id":"rs`) ||
		messages[2].Subject != "ddl.pipelines_db.%01%02%0D%0A%7F" {
		t.Errorf("NATS has %q of %q, want %q", got, messages[2].Subject, want)
	}
}

// TestPipelinesStart checks for an exit on permanent errors, and for a warning if the history
// waits for a broker.
func TestPipelinesStart(t *testing.T) {
	s := newScene(t, "pipelines_start_db")
	nats := brokertest.NewNATS(t)
	url := "DDLTAIL_NATS_URL=" + nats.URL()
	p := s.launch([]string{"run"}, "DDLTAIL_MONGODB_URI="+s.uri, "DDLTAIL_SINKS=nats:nothing", "DDLTAIL_NAME=nats", url)
	wantExit(t, p, 2, "no stream stores the subject nothing.>")
	s.must(nats.CreateStream(t.Context(), "ddl", nil))
	// Without this filter the pending write could be a change of another test.
	p = s.start("DDLTAIL_SINKS=mongodb,nats:ddl", "DDLTAIL_NAMESPACES="+s.db.Name()+".*", url)
	if !strings.Contains(p.Stderr(), "an unavailable broker delays the history") {
		t.Error("no warning about a history that waits for a broker")
	}
	// A broker that does not answer must not delay the shutdown.
	s.must(nats.Pause())
	s.must(s.db.CreateCollection(t.Context(), "held"))
	s.documents("schema_notifications", 1)
	began := time.Now()
	code, err := p.Stop(t.Context())
	s.must(err)
	if took := time.Since(began); code != 0 || took > 5*time.Second {
		t.Errorf("ended with exit code %d after %s", code, took)
	}
	s.must(nats.Resume())
	p = s.launch([]string{"run"}, "DDLTAIL_MONGODB_URI="+s.uri, "DDLTAIL_SINKS=kafka:a?create=true&create=false,nats:a b", "DDLTAIL_NAME=x")
	wantExit(t, p, 2, "create is set twice")
}
