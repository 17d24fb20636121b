// Package nats is the sink that publishes documents to a JetStream stream.
package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/message"
)

const (
	// defaultMaxBytes fits the default message limit of servers.
	defaultMaxBytes = 1_000_000
	// connectTimeout bounds the time until a connection is made.
	connectTimeout = 5 * time.Second
	// publishTimeout bounds the time until a stream has stored a message.
	publishTimeout = 10 * time.Second
)

// Subject publishes below a subject.
type Subject struct {
	name, subject string
	encoder       message.Encoder
	settings      settings
	report        sink.Report

	// conn is nil before the first connection and after a failed attempt.
	conn   *nats.Conn
	stream jetstream.JetStream
	// refused ends when the server reports that conn lacks a permission: it does not reply to the request.
	refused context.Context
}

// Name is the sink's name in logs and metrics.
func (s *Subject) Name() string { return s.name }

// Setup checks that a stream stores what is published.
func (s *Subject) Setup(ctx context.Context, _ sink.Own) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	request, cancel := s.answered(ctx, connectTimeout)
	defer cancel()
	_, err := s.stream.StreamNameBySubject(request, s.subject+".database.collection")
	if s.refused.Err() != nil {
		// Without permission to look up the stream, publishing shows whether it exists.
		s.disconnect()
		return nil
	}
	if config := s.userError(err); errors.As(config, new(*sink.ConfigurationError)) {
		return config
	}
	return nil
}

// Close closes the connection.
func (s *Subject) Close() error {
	s.disconnect()
	return nil
}

// Write publishes the documents one by one, so that no document is stored before an earlier
// one that failed.
func (s *Subject) Write(ctx context.Context, docs []notification.Document) error {
	for _, d := range docs {
		err := s.write(ctx, d)
		if err != nil {
			err = s.userError(s.explain(err))
			s.disconnect()
			return fmt.Errorf("publish %s below %s: %w", d.ID, s.subject, err)
		}
	}
	return nil
}

// write publishes one document, reduced if it is refused because of its content.
func (s *Subject) write(ctx context.Context, d notification.Document) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	encoder := s.encoder
	encoder.MaxBytes = min(encoder.MaxBytes, int(s.conn.MaxPayload()))
	m, err := encoder.Encode(d)
	if err != nil {
		return err
	}
	refused := s.publish(ctx, m)
	if refused == nil || !refusesContent(refused) {
		return refused
	}
	if m, err = encoder.Reduce(d); err != nil {
		return err
	}
	if err := s.publish(ctx, m); err != nil {
		return err
	}
	s.report.Refused(s.name, d.ID, refused)
	return nil
}

// refusesContent reports whether a message was refused because of its content.
func refusesContent(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || hasCode(err, jetstream.JSErrCodeStreamMessageExceedsMaximum)
}

// hasCode reports whether the server answered with an error code.
func hasCode(err error, code jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == code
}

// publish returns when the stream has stored the message, or had stored it before.
func (s *Subject) publish(ctx context.Context, m message.Message) error {
	ctx, cancel := s.answered(ctx, publishTimeout)
	defer cancel()
	out := &nats.Msg{Subject: s.subjectOf(m), Data: m.Body, Header: nats.Header{}}
	out.Header.Set(jetstream.MsgIDHeader, m.ID)
	out.Header.Set("ddltail-id", m.ID)
	out.Header.Set("ddltail-operation", m.Operation)
	if m.Risk != "" {
		out.Header.Set("ddltail-risk", m.Risk)
	}
	out.Header.Set("content-type", m.ContentType)
	for _, a := range m.Attributes {
		out.Header.Set("ce-"+a.Name, headerValue(a.Value))
	}
	_, err := s.stream.PublishMsg(ctx, out)
	return err
}

// gapToken replaces the database of a HISTORY_GAP. No escaped name has this form.
const gapToken = "%gap"

// subjectOf returns the subject of a message: database and collection are one token each.
func (s *Subject) subjectOf(m message.Message) string {
	switch {
	case m.Database == "":
		return s.subject + "." + gapToken
	case m.Collection == "":
		return s.subject + "." + token(m.Database)
	}
	return s.subject + "." + token(m.Database) + "." + token(m.Collection)
}

// token percent-encodes every byte of a name except A-Z, a-z, 0-9, _ and -.
func token(name string) string {
	return escape(name, func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
	})
}

// headerValue percent-encodes characters that the header of a CloudEvent must not contain,
// including the percent signs of the attribute.
func headerValue(text string) string {
	return escape(text, func(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '%' })
}

func escape(text string, plain func(byte) bool) string {
	var b strings.Builder
	for i := range len(text) {
		if plain(text[i]) {
			b.WriteByte(text[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", text[i])
		}
	}
	return b.String()
}
