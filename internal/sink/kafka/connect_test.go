package kafka

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

// missingTopic is a clear error, unless create=true.
func missingTopic(t *testing.T, broker brokertest.Kafka) {
	values := sink.Values{"KAFKA_BROKERS": broker.Addr()}
	wantProblem(t, newTopic(t, "absent", values, nil), "the topic absent does not exist: create it, or set create=true")
	for range 2 {
		created := newTopic(t, "absent?create=true", values, nil)
		if err := created.Setup(t.Context(), sink.Own{}); err != nil {
			t.Fatal(err)
		}
		if err := created.Write(t.Context(), sinktest.Documents(0, 1)); err != nil {
			t.Error(err)
		}
	}
}

func wantProblem(t *testing.T, s *Topic, want string) {
	t.Helper()
	err := s.Setup(t.Context(), sink.Own{})
	var problem *sink.ConfigurationError
	if !errors.As(err, &problem) || problem.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// authentication begins with a wrong password in the file; the right one is used without a new
// sink.
func authentication(t *testing.T, broker brokertest.Kafka) {
	create(t, broker, "authentication", 1)
	for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		file := filepath.Join(t.TempDir(), "password")
		write := func(password string) {
			if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("wr0ng-secret")
		s := newTopic(t, "authentication", sink.Values{"KAFKA_BROKERS": broker.SASLAddr(), "KAFKA_SASL": mechanism,
			"KAFKA_USER": brokertest.User, "KAFKA_PASSWORD_FILE": file}, nil)
		wantProblem(t, s, "Kafka authentication failed: check DDLTAIL_KAFKA_USER, DDLTAIL_KAFKA_PASSWORD and DDLTAIL_KAFKA_SASL")
		if err := s.Write(t.Context(), sinktest.Documents(0, 1)); err == nil || strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("%s: got %v", mechanism, err)
		}
		write(brokertest.Password)
		if err := s.Write(t.Context(), sinktest.Documents(0, 1)); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
	}
}

// encrypted connects with TLS and a client certificate, and to nothing without them; and with a password over TLS.
func encrypted(t *testing.T, broker brokertest.Kafka) {
	create(t, broker, "tls", 1)
	both := sink.Values{"KAFKA_BROKERS": broker.SASLTLSAddr(), "KAFKA_CA_FILE": broker.CA, "KAFKA_SASL": "scram-sha-512",
		"KAFKA_USER": brokertest.User, "KAFKA_PASSWORD": brokertest.Password}
	if err := newTopic(t, "tls", both, nil).Write(t.Context(), sinktest.Documents(0, 1)); err != nil {
		t.Error(err)
	}
	values := sink.Values{"KAFKA_BROKERS": broker.TLSAddr(), "KAFKA_CA_FILE": broker.CA,
		"KAFKA_CERT_FILE": broker.ClientCert, "KAFKA_KEY_FILE": broker.ClientKey}
	if err := newTopic(t, "tls", values, nil).Setup(t.Context(), sink.Own{}); err != nil {
		t.Error(err)
	}
	for _, missing := range []string{"KAFKA_CA_FILE", "KAFKA_CERT_FILE"} {
		without := sink.Values{"KAFKA_TLS": "true"}
		for name, value := range values {
			if name != missing && (missing != "KAFKA_CERT_FILE" || name != "KAFKA_KEY_FILE") {
				without[name] = value
			}
		}
		err := newTopic(t, "tls", without, nil).Setup(t.Context(), sink.Own{})
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("without %s: got %v", missing, err)
		}
	}
}
