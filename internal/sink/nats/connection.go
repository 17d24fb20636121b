package nats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ddltail/ddltail/internal/sink"
)

// connect opens a connection if none is open. The client must not reconnect by itself: after
// a failure, messages that were buffered before it must not be sent.
func (s *Subject) connect(ctx context.Context) error {
	if s.conn != nil && s.conn.IsConnected() {
		return nil
	}
	s.disconnect()
	d := dialer{ctx: ctx}
	refused, refuse := context.WithCancelCause(context.Background())
	conn, err := nats.Connect(s.settings.url, append(s.settings.options(), nats.SkipHostLookup(), nats.SetCustomDialer(&d),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				refuse(err)
			}
		}))...)
	if stopped := d.stop(); err == nil && stopped != nil {
		conn.Close()
		return stopped
	}
	if err != nil {
		return s.userError(fmt.Errorf("connect to NATS: %w", d.explain(err)))
	}
	stream, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return fmt.Errorf("open JetStream: %w", err)
	}
	s.conn, s.stream, s.refused = conn, stream, refused
	return nil
}

func (s *Subject) disconnect() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// dialer ends a call of nats.Connect with a context: the client does not accept a context.
type dialer struct {
	ctx    context.Context
	dialed []func() bool // each stops the watch on the context for a connection
	failed []error
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(d.ctx, network, address)
	if err != nil {
		d.failed = append(d.failed, err)
		return nil, err
	}
	d.dialed = append(d.dialed, context.AfterFunc(d.ctx, func() { _ = conn.Close() }))
	return conn, nil
}

// explain adds the error of each server to an error of the client, which keeps only the last one. They are in the same order at each
// attempt, unlike the client's.
func (d *dialer) explain(err error) error {
	dialed := func(failed error) bool { return errors.Is(err, failed) }
	if !errors.Is(err, nats.ErrNoServers) && !slices.ContainsFunc(d.failed, dialed) || len(d.failed) == 0 {
		return err
	}
	var reasons []string
	for _, failed := range d.failed {
		reasons = append(reasons, failed.Error())
	}
	slices.Sort(reasons)
	return fmt.Errorf("%w: %s", nats.ErrNoServers, strings.Join(slices.Compact(reasons), "; "))
}

// stop lets the connections outlive the context. It returns the error of a context that has ended.
func (d *dialer) stop() error {
	for _, stop := range d.dialed {
		stop()
	}
	return d.ctx.Err()
}

// answered returns the context of a request, which also ends when the server has refused one.
func (s *Subject) answered(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	stop := context.AfterFunc(s.refused, cancel)
	return ctx, func() { stop(); cancel() }
}

// explain adds the server's refusal to an error that is only a missing reply.
func (s *Subject) explain(err error) error {
	if s.conn == nil || s.refused.Err() == nil {
		return err
	}
	return fmt.Errorf("%w (%w)", err, context.Cause(s.refused))
}

// userError adds a remedy to a permanent error.
func (s *Subject) userError(err error) error {
	problem := func(problem, remedy string) error { return &sink.ConfigurationError{Problem: problem, Remedy: remedy} }
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrStreamNotFound):
		return problem("no stream stores the subject "+s.subject+".>", "create a JetStream stream with this subject")
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return problem("the NATS server has no JetStream for this account", "enable it")
	case errors.Is(err, nats.ErrPermissionViolation):
		return problem("the NATS user may not publish below "+s.subject+", or may not receive the reply",
			"allow it to publish to "+s.subject+".> and to subscribe to _INBOX.>")
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired):
		return problem("NATS authentication failed", "check DDLTAIL_NATS_URL and DDLTAIL_NATS_CREDS_FILE")
	}
	return err
}
