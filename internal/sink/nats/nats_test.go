package nats

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/test/brokertest"
	"github.com/ddltail/ddltail/test/sinktest"
)

// patience bounds the reading of a stream.
const patience = time.Minute

func TestSink(t *testing.T) {
	skipIfShort(t)
	server := brokertest.NewNATS(t)
	var streams atomic.Int32
	sinktest.Run(t, func(t *testing.T) sinktest.Target {
		subject := fmt.Sprintf("ddl-%d", streams.Add(1))
		create(t, server, subject, nil)
		var report sinktest.Report
		target := sinktest.Target{
			Open:  func(t *testing.T) sink.Sink { return openSubject(t, server, subject, &report) },
			Limit: defaultMaxBytes, Once: true,
			Kill: server.Kill, Restart: func() error { return server.Start(t.Context()) },
			Pause: server.Pause, Resume: server.Resume,
			OpenRefusing: func(t *testing.T) sink.Sink {
				subject = "small-" + subject
				create(t, server, subject, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 50_000 })
				return openSubject(t, server, subject, &report)
			},
			Refused: func() int { n, _, _ := report.Counts(); return n },
		}
		target.Read = func(t *testing.T, last string) []string {
			var values []string
			for _, m := range consume(t, server, subject, last) {
				values = append(values, m.Value)
			}
			return values
		}
		return target
	})
}

func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a server")
	}
}

func create(t *testing.T, server brokertest.NATS, subject string, adjust func(*jetstream.StreamConfig)) {
	t.Helper()
	if err := server.CreateStream(t.Context(), subject, adjust); err != nil {
		t.Fatal(err)
	}
}

// openSubject opens a sink as the registry does, and sets it up.
func openSubject(t *testing.T, server brokertest.NATS, subject string, report sink.Report) *Subject {
	t.Helper()
	s := newSubject(t, subject, sink.Values{"NATS_URL": server.URL()}, report)
	if err := s.Setup(t.Context(), sink.Own{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func newSubject(t *testing.T, specification string, values sink.Values, report sink.Report) *Subject {
	t.Helper()
	spec, err := sink.Registry{Kind()}.Parse("nats:" + specification)
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

// consume reads a stream until it holds the message with an id.
func consume(t *testing.T, server brokertest.NATS, subject, last string) []brokertest.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	messages, err := server.Consume(ctx, subject, func(read []brokertest.Message) bool {
		return len(read) > 0 && read[len(read)-1].Headers["ddltail-id"] == last
	})
	if err != nil {
		t.Fatal(err)
	}
	return messages
}
