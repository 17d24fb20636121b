package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/message"
)

// keyCreate is the option that creates a missing topic.
const keyCreate = "create"

// Kind returns the kind kafka.
func Kind() sink.Kind {
	return sink.Kind{
		Name: "kafka", Target: "TOPIC", Summary: "a Kafka topic", External: true,
		Options: []string{sink.KeyName, sink.KeyRequired, sink.KeyMaxBytes, sink.KeyFormat, keyCreate},
		Variables: []sink.Variable{
			{Name: "KAFKA_BROKERS", Description: "sink kafka: comma-separated host:port of brokers"},
			{Name: "KAFKA_TLS", Default: "false", Description: "sink kafka: true for TLS; implied by the three files below"},
			{Name: "KAFKA_CA_FILE", Description: "sink kafka: CA certificates to trust, PEM; default: those of the system"},
			{Name: "KAFKA_CERT_FILE", Description: "sink kafka: client certificate, PEM"},
			{Name: "KAFKA_KEY_FILE", Description: "sink kafka: key of the client certificate, PEM"},
			{Name: "KAFKA_SASL", Description: "sink kafka: plain, scram-sha-256 or scram-sha-512"},
			{Name: "KAFKA_USER", Description: "sink kafka: user for SASL"},
			{Name: "KAFKA_PASSWORD", Description: "sink kafka: password for SASL"},
			{Name: "KAFKA_PASSWORD_FILE", Description: "sink kafka: a file that contains KAFKA_PASSWORD; it is read for each connection"},
		},
		Check: check,
		Open: func(s sink.Spec, v sink.Values, r sink.Resources) ([]sink.Output, error) {
			return []sink.Output{{Sink: open(s, v, r)}}, nil
		},
	}
}

func open(s sink.Spec, v sink.Values, r sink.Resources) *Topic {
	create, _ := strconv.ParseBool(s.Options[keyCreate]) // checked by check
	return &Topic{
		name: s.Name, topic: s.Target, create: create, report: r.Report, settings: settingsOf(v),
		encoder: message.EncoderOf(s, defaultMaxBytes),
	}
}

// settings are the values of the variables.
type settings struct {
	brokers          []string
	tls              bool
	ca, cert, key    string
	sasl             string
	user             string
	password, secret string // secret is the file that contains the password
}

func settingsOf(v sink.Values) settings {
	s := settings{
		ca: v["KAFKA_CA_FILE"], cert: v["KAFKA_CERT_FILE"], key: v["KAFKA_KEY_FILE"],
		sasl: v["KAFKA_SASL"], user: v["KAFKA_USER"], password: v["KAFKA_PASSWORD"], secret: v["KAFKA_PASSWORD_FILE"],
	}
	for broker := range strings.SplitSeq(v["KAFKA_BROKERS"], ",") {
		if broker = strings.TrimSpace(broker); broker != "" {
			s.brokers = append(s.brokers, broker)
		}
	}
	enabled, _ := strconv.ParseBool(v["KAFKA_TLS"]) // checked by check
	s.tls = enabled || s.ca != "" || s.cert != ""
	return s
}

// check returns what is wrong with a specification and the variables.
func check(spec sink.Spec, v sink.Values) []sink.Problem {
	var problems []sink.Problem
	fail := func(variable, format string, args ...any) {
		problems = append(problems, sink.Problem{Variable: variable, Text: fmt.Sprintf(format, args...)})
	}
	if !regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`).MatchString(spec.Target) || spec.Target == "." || spec.Target == ".." {
		fail("SINKS", "kafka: want a topic of 1 to 249 of A-Z a-z 0-9 . _ -")
	}
	if _, err := strconv.ParseBool(spec.Options[keyCreate]); err != nil && spec.Options[keyCreate] != "" {
		fail("SINKS", "kafka: create: want true or false")
	}
	if err := message.CheckFormat(spec); err != nil {
		fail("SINKS", "kafka: %v", err)
	}
	s := settingsOf(v)
	if len(s.brokers) == 0 || slices.ContainsFunc(s.brokers, notHostPort) {
		fail("KAFKA_BROKERS", "want host:port[,…]")
	}
	if _, err := strconv.ParseBool(v["KAFKA_TLS"]); err != nil && v["KAFKA_TLS"] != "" {
		fail("KAFKA_TLS", "want true or false")
	}
	if (s.cert == "") != (s.key == "") {
		fail("KAFKA_CERT_FILE", "set it together with DDLTAIL_KAFKA_KEY_FILE")
	} else if _, err := s.certificate(); err != nil {
		fail("KAFKA_CERT_FILE", "want a client certificate and its key as PEM files (%v)", withoutPath(err))
	}
	if err := s.trust(&tls.Config{MinVersion: tls.VersionTLS12}); err != nil {
		fail("KAFKA_CA_FILE", "want a file of certificates, PEM (%v)", withoutPath(err))
	}
	return append(problems, checkSASL(s)...)
}

func checkSASL(s settings) []sink.Problem {
	switch {
	case !slices.Contains([]string{"", "plain", "scram-sha-256", "scram-sha-512"}, s.sasl):
		return []sink.Problem{{Variable: "KAFKA_SASL", Text: "want plain, scram-sha-256 or scram-sha-512"}}
	case s.sasl == "" && (s.user != "" || s.password != "" || s.secret != ""):
		return []sink.Problem{{Variable: "KAFKA_SASL", Text: "not set, but a user or a password is: want plain, scram-sha-256 or scram-sha-512"}}
	case s.sasl == "":
		return nil
	case s.user == "":
		return []sink.Problem{{Variable: "KAFKA_USER", Text: "not set: SASL needs a user and a password"}}
	}
	if _, err := s.readPassword(); err != nil {
		variable := "KAFKA_PASSWORD"
		if s.secret != "" {
			variable = "KAFKA_PASSWORD_FILE"
		}
		return []sink.Problem{{Variable: variable, Text: err.Error()}}
	}
	return nil
}

func notHostPort(broker string) bool {
	host, port, err := net.SplitHostPort(broker)
	if err != nil || host == "" || strings.ContainsAny(host, "@/ ") {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err != nil || n == 0
}

// withoutPath removes the path of a file from an error: it may be a secret itself.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// readPassword reads the password, each time from its file if one is set.
func (s settings) readPassword() (string, error) {
	if s.secret == "" {
		if s.password == "" {
			return "", errors.New("not set: SASL needs a user and a password")
		}
		return s.password, nil
	}
	content, err := os.ReadFile(s.secret)
	if err != nil {
		return "", fmt.Errorf("want the path of a file that can be read (%w)", withoutPath(err))
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		return "", errors.New("the file is empty")
	}
	return text, nil
}

// mechanism returns the SASL mechanism; nil for none. The client reads the password at
// each authentication, so a changed file is used without a restart.
func (s settings) mechanism() sasl.Mechanism {
	scramAuth := func(context.Context) (scram.Auth, error) {
		password, err := s.readPassword()
		return scram.Auth{User: s.user, Pass: password}, err
	}
	switch s.sasl {
	case "plain":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := s.readPassword()
			return plain.Auth{User: s.user, Pass: password}, err
		})
	case "scram-sha-256":
		return scram.Sha256(scramAuth)
	case "scram-sha-512":
		return scram.Sha512(scramAuth)
	}
	return nil
}

// trust adds the CA certificates and the client certificate to a configuration.
func (s settings) trust(config *tls.Config) error {
	if s.cert != "" {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.certificate() }
	}
	if s.ca == "" {
		return nil
	}
	pem, err := os.ReadFile(s.ca)
	if err != nil {
		return err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return errors.New("the file contains no certificate")
	}
	return nil
}

// certificate reads the client certificate; an empty one for none.
func (s settings) certificate() (*tls.Certificate, error) {
	if s.cert == "" || s.key == "" {
		return &tls.Certificate{}, nil
	}
	pair, err := tls.LoadX509KeyPair(s.cert, s.key)
	return &pair, err
}
