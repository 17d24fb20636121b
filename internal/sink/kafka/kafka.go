// Package kafka is the sink that produces documents to a topic.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/message"
)

const (
	// defaultMaxBytes fits the default batch limit of brokers.
	defaultMaxBytes = 1_000_000
	// attemptTimeout bounds one attempt to produce a group of documents.
	attemptTimeout = 10 * time.Second
)

// Topic is a topic of a cluster.
type Topic struct {
	name, topic string
	create      bool
	encoder     message.Encoder
	settings    settings
	report      sink.Report

	// client is nil before the first connection and after a failed attempt.
	client *kgo.Client
	// connection has the last error of a connection of client.
	connection *connection
}

// Name is the sink's name in logs and metrics.
func (t *Topic) Name() string { return t.name }

// Setup checks that the topic exists, and creates it if create=true.
func (t *Topic) Setup(ctx context.Context, _ sink.Own) error { return t.connect(ctx) }

// Close closes the connections.
func (t *Topic) Close() error {
	t.disconnect()
	return nil
}

// outgoing is a document with its message.
type outgoing struct {
	document notification.Document
	message  message.Message
}

// Write produces the documents in groups. A group is at most one batch per partition, which
// a broker stores whole or not at all, and the next group is produced after all brokers have
// acknowledged it: so a partition never has a document before an earlier one was produced.
func (t *Topic) Write(ctx context.Context, docs []notification.Document) error {
	var group []outgoing
	bytes := 0
	for _, d := range docs {
		m, err := t.encoder.Encode(d)
		if err != nil {
			return err
		}
		size := m.Size() * copies(m)
		if bytes+size > t.encoder.MaxBytes && len(group) > 0 {
			if err := t.produce(ctx, group); err != nil {
				return err
			}
			group, bytes = nil, 0
		}
		group, bytes = append(group, outgoing{d, m}), bytes+size
	}
	if len(group) == 0 {
		return nil
	}
	return t.produce(ctx, group)
}

// produce writes a group. If one of its documents is refused because of its content, each is
// written separately.
func (t *Topic) produce(ctx context.Context, group []outgoing) error {
	err := t.attempt(ctx, group)
	switch {
	case err == nil || !refusesContent(err):
		return err
	case len(group) == 1:
		return t.reduce(ctx, group[0], err)
	}
	for i := range group {
		if err := t.produce(ctx, group[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// reduce writes the minimal document, which every topic accepts.
func (t *Topic) reduce(ctx context.Context, o outgoing, cause error) error {
	reduced, err := t.encoder.Reduce(o.document)
	if err != nil {
		return err
	}
	if err := t.attempt(ctx, []outgoing{{o.document, reduced}}); err != nil {
		return fmt.Errorf("produce the first fields of %s: %w", o.document.ID, err)
	}
	t.report.Refused(t.name, o.document.ID, cause)
	return nil
}

// refusesContent reports whether a broker refused a record because of its content.
func refusesContent(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge) || errors.Is(err, kerr.InvalidRecord)
}

// attempt produces one group. After an error the client is closed: its buffer may contain
// records that must not be produced after those of the next attempt.
func (t *Topic) attempt(ctx context.Context, group []outgoing) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if err := t.connect(ctx); err != nil {
		return err
	}
	results := make(chan error, 2*len(group))
	produced := 0
	for _, o := range group {
		for _, r := range records(o.message) {
			t.client.Produce(ctx, r, func(_ *kgo.Record, err error) { results <- err })
			produced++
		}
	}
	err := t.client.Flush(ctx)
	for range produced {
		if err != nil {
			break
		}
		select {
		case err = <-results:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("produce to the topic %s: %w", t.topic, t.explain(err))
	t.disconnect()
	return err
}

// explain adds the connection error to a timeout.
func (t *Topic) explain(err error) error {
	if last := t.connection.error(); last != nil && !errors.Is(err, last) && !refusesContent(err) {
		return fmt.Errorf("%w (%w)", err, last)
	}
	return err
}

// connect creates a client and checks the topic, if no client is open.
func (t *Topic) connect(ctx context.Context) error {
	if t.client != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	t.connection = &connection{}
	options, err := t.options()
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return fmt.Errorf("configure the Kafka client: %w", err)
	}
	t.client = client
	if err := ensureTopic(ctx, client, t.topic, t.create); err != nil {
		err = t.explain(err)
		t.disconnect()
		return err
	}
	return nil
}

func (t *Topic) disconnect() {
	if t.client != nil {
		t.client.Close()
		t.client = nil
	}
}

// options are those of the client. The password and the certificates are read from their
// files for each connection.
func (t *Topic) options() ([]kgo.Opt, error) {
	options := []kgo.Opt{
		kgo.ClientID("ddltail"),
		kgo.SeedBrokers(t.settings.brokers...),
		kgo.DefaultProduceTopic(t.topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ManualFlushing(),
		kgo.ProducerBatchMaxBytes(int32(t.encoder.MaxBytes + message.Envelope)),
		kgo.DialTimeout(attemptTimeout / 2),
		kgo.RetryTimeout(attemptTimeout),
		kgo.WithHooks(t.connection),
		kgo.DisableClientMetrics(),
	}
	if mechanism := t.settings.mechanism(); mechanism != nil {
		options = append(options, kgo.SASL(mechanism))
	}
	if !t.settings.tls {
		return options, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if err := t.settings.trust(config); err != nil {
		return nil, err
	}
	return append(options, kgo.DialTLSConfig(config)), nil
}

func copies(m message.Message) int { return len(records(m)) }

// records returns the record of a message under its namespace; a rename has a second one
// under the new name.
func records(m message.Message) []*kgo.Record {
	headers := []kgo.RecordHeader{header("ddltail-id", m.ID), header("ddltail-operation", m.Operation)}
	if m.Risk != "" {
		headers = append(headers, header("ddltail-risk", m.Risk))
	}
	headers = append(headers, header("content-type", m.ContentType))
	for _, a := range m.Attributes {
		headers = append(headers, header("ce_"+a.Name, a.Value))
	}
	key := m.Namespace()
	if key == "" {
		key = m.Source
	}
	all := []*kgo.Record{{Key: []byte(key), Value: m.Body, Headers: headers}}
	if m.To != "" {
		all = append(all, &kgo.Record{Key: []byte(m.To), Value: m.Body, Headers: append(slices.Clone(headers), header("ddltail-copy", "true"))})
	}
	return all
}

func header(key, value string) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: []byte(value)}
}
