package brokertest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ddltail/ddltail/test/mongotest"
)

// NATS is a server with JetStream.
type NATS struct {
	*Server
	Certificates

	// options are used by this package to connect.
	options []nats.Option
}

// NewNATS starts a server.
func NewNATS(tb mongotest.TB, arguments ...string) NATS {
	tb.Helper()
	n := newNATS(tb)
	n.start(tb, arguments...)
	return n
}

// NewNATSWithTLS starts a server that accepts only connections with TLS.
func NewNATSWithTLS(tb mongotest.TB) NATS {
	tb.Helper()
	n := newNATS(tb)
	n.options = []nats.Option{nats.RootCAs(n.CA)}
	n.start(tb, "--tls", "--tlscert", n.ServerCert, "--tlskey", n.ServerKey)
	return n
}

func newNATS(tb mongotest.TB) NATS {
	tb.Helper()
	server, err := newServer(1)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	certificates, err := newCertificates(server.Dir())
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return NATS{Server: server, Certificates: certificates}
}

func (n NATS) start(tb mongotest.TB, arguments ...string) {
	tb.Helper()
	binary := script(tb, "nats.sh")
	n.command = func() *exec.Cmd {
		return exec.Command(binary, append([]string{"--addr", "127.0.0.1", "--port", strconv.Itoa(n.ports[0].Number),
			"--jetstream", "--store_dir", filepath.Join(n.Dir(), "data")}, arguments...)...)
	}
	n.ready = func(context.Context) error {
		conn, err := nats.Connect(n.URL(), append(slices.Clone(n.options), nats.NoReconnect(), nats.Timeout(time.Second))...)
		if err == nil {
			conn.Close()
		}
		if errors.Is(err, nats.ErrAuthorization) {
			return nil
		}
		return err
	}
	start(tb, n.Server)
}

// URL returns the URL of the server.
func (n NATS) URL() string { return "nats://" + n.Addr() }

// CreateStream creates a stream that stores everything below a subject; adjust may change its
// configuration.
func (n NATS) CreateStream(ctx context.Context, subject string, adjust func(*jetstream.StreamConfig)) error {
	return n.use(func(js jetstream.JetStream) error {
		config := jetstream.StreamConfig{Name: subject, Subjects: []string{subject + ".>"}}
		if adjust != nil {
			adjust(&config)
		}
		_, err := js.CreateStream(ctx, config)
		return err
	})
}

// Message is a message of a stream.
type Message struct {
	Subject, Value string
	Headers        map[string]string
}

// Consume reads a stream from its beginning until enough returns true for the messages read so
// far, or the context ends.
func (n NATS) Consume(ctx context.Context, stream string, enough func([]Message) bool) ([]Message, error) {
	var all []Message
	err := n.use(func(js jetstream.JetStream) error {
		consumer, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{})
		if err != nil {
			return err
		}
		for !enough(all) {
			batch, err := consumer.Fetch(500, jetstream.FetchMaxWait(200*time.Millisecond))
			if err != nil {
				return err
			}
			for m := range batch.Messages() {
				message := Message{Subject: m.Subject(), Value: string(m.Data()), Headers: map[string]string{}}
				for key := range m.Headers() {
					message.Headers[key] = m.Headers().Get(key)
				}
				all = append(all, message)
			}
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("%d messages read: %w", len(all), err)
			}
		}
		return nil
	})
	return all, err
}

func (n NATS) use(work func(jetstream.JetStream) error) error {
	conn, err := nats.Connect(n.URL(), n.options...)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	return work(js)
}
