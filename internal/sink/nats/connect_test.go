package nats

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/test/brokertest"
	"github.com/ddltail/ddltail/test/sinktest"
)

// TestConnect says what to do where it cannot publish, and never shows a password.
func TestConnect(t *testing.T) {
	skipIfShort(t)
	server := brokertest.NewNATS(t, "--user", "ddltail", "--pass", "secret")
	url := func(user string) sink.Values { return sink.Values{"NATS_URL": "nats://" + user + "@" + server.Addr()} }
	wantProblem(t, newSubject(t, "ddl", url("ddltail:wr0ng-secret"), nil), "NATS authentication failed: check DDLTAIL_NATS_URL and DDLTAIL_NATS_CREDS_FILE")
	s := newSubject(t, "ddl", url("ddltail:secret"), nil)
	wantProblem(t, s, "no stream stores the subject ddl.>: create a JetStream stream with this subject")
	if err := s.Write(t.Context(), sinktest.Documents(0, 1)); err == nil || !strings.Contains(err.Error(), "create a JetStream stream") {
		t.Errorf("written without a stream: %v", err)
	}
}

func wantProblem(t *testing.T, s *Subject, want string) {
	t.Helper()
	err := s.Setup(t.Context(), sink.Own{})
	var problem *sink.ConfigurationError
	if !errors.As(err, &problem) || problem.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestTLS connects with an authority that the system trusts.
func TestTLS(t *testing.T) {
	skipIfShort(t)
	server := brokertest.NewNATSWithTLS(t)
	t.Setenv("SSL_CERT_FILE", server.CA)
	s := newSubject(t, "ddl", sink.Values{"NATS_URL": "tls://" + server.Addr()}, nil)
	wantProblem(t, s, "no stream stores the subject ddl.>: create a JetStream stream with this subject")
}

// TestCredentials begins with a credentials file that the server refuses; another one in its place is used without a new sink.
func TestCredentials(t *testing.T) {
	skipIfShort(t)
	server, known, unknown := brokertest.NewNATSWithAccounts(t)
	create(t, server, "ddl", nil)
	file := filepath.Join(t.TempDir(), "user.creds")
	replace := func(content []byte) {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replace(unknown)
	const refused = "NATS authentication failed: check DDLTAIL_NATS_URL and DDLTAIL_NATS_CREDS_FILE"
	s := newSubject(t, "ddl", sink.Values{"NATS_URL": server.URL(), "NATS_CREDS_FILE": file}, nil)
	wantProblem(t, s, refused)
	if err := s.Write(t.Context(), sinktest.Documents(0, 1)); err == nil || !strings.Contains(err.Error(), refused) {
		t.Errorf("got %v, want %s", err, refused)
	}
	replace(known)
	if err := s.Write(t.Context(), sinktest.Documents(0, 1)); err != nil {
		t.Error(err)
	}
}

// TestPermissions publishes with the permissions of the documentation, and says which are missing.
func TestPermissions(t *testing.T) {
	skipIfShort(t)
	server := brokertest.NewNATSWithUsers(t, `{user: admin, password: a}
		{user: ddltail, password: p, permissions: {publish: ["ddl.>", "$JS.API.STREAM.NAMES"], subscribe: ["_INBOX.>"]}}
		{user: narrow, password: p, permissions: {publish: ["ddl.>"], subscribe: ["_INBOX.>"]}}
		{user: other, password: p, permissions: {publish: ["other.>", "$JS.API.STREAM.NAMES"], subscribe: ["_INBOX.>"]}}`, "admin", "a")
	create(t, server, "ddl", nil)
	as := func(user string) *Subject {
		return newSubject(t, "ddl", sink.Values{"NATS_URL": "nats://" + user + ":p@" + server.Addr()}, nil)
	}
	for _, user := range []string{"ddltail", "narrow"} {
		s := as(user)
		if err := errors.Join(s.Setup(t.Context(), sink.Own{}), s.Write(t.Context(), sinktest.Documents(0, 1))); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
	const missing = "the NATS user may not publish below ddl, or may not receive the reply: allow it to publish to ddl.> and to subscribe to _INBOX.>"
	if err := as("other").Write(t.Context(), sinktest.Documents(0, 1)); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("got %v, want %s", err, missing)
	}
}

// TestUnreachable names every server and why it was not reached, in the same order each time.
func TestUnreachable(t *testing.T) {
	s := newSubject(t, "ddl", sink.Values{"NATS_URL": "nats://127.0.0.2:1,nats://127.0.0.1:1"}, nil)
	for range 10 {
		err := s.Setup(t.Context(), sink.Own{})
		const want = "connect to NATS: nats: no servers available for connection: " +
			"dial tcp 127.0.0.1:1: connect: connection refused; dial tcp 127.0.0.2:1: connect: connection refused"
		if err == nil || err.Error() != want {
			t.Fatalf("got %v, want %s", err, want)
		}
	}
}
