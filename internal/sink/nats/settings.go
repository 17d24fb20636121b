package nats

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/message"
)

// Kind returns the kind nats.
func Kind() sink.Kind {
	return sink.Kind{
		Name: "nats", Target: "SUBJECT", Summary: "subjects of a NATS JetStream stream", External: true,
		Options: []string{sink.KeyName, sink.KeyRequired, sink.KeyMaxBytes, sink.KeyFormat},
		Variables: []sink.Variable{
			{Name: "NATS_URL", Description: "sink nats: comma-separated URLs of servers, nats:// or tls://"},
			{Name: "NATS_CREDS_FILE", Description: "sink nats: credentials file; it is read for each connection"},
		},
		Check: check,
		Open: func(s sink.Spec, v sink.Values, r sink.Resources) ([]sink.Output, error) {
			return []sink.Output{{Sink: open(s, v, r)}}, nil
		},
	}
}

func open(s sink.Spec, v sink.Values, r sink.Resources) *Subject {
	return &Subject{
		name: s.Name, subject: s.Target, report: r.Report, settings: settingsOf(v),
		encoder: message.EncoderOf(s, defaultMaxBytes),
	}
}

// settings are the values of the variables.
type settings struct{ url, creds string }

func settingsOf(v sink.Values) settings {
	return settings{url: v["NATS_URL"], creds: v["NATS_CREDS_FILE"]}
}

func (s settings) options() []nats.Option {
	options := []nats.Option{nats.Name("ddltail"), nats.Timeout(connectTimeout), nats.NoReconnect()}
	if s.creds != "" {
		options = append(options, nats.UserCredentials(s.creds))
	}
	return options
}

// check returns what is wrong with a specification and the variables.
func check(spec sink.Spec, v sink.Values) []sink.Problem {
	var problems []sink.Problem
	fail := func(variable, format string, args ...any) {
		problems = append(problems, sink.Problem{Variable: variable, Text: fmt.Sprintf(format, args...)})
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`).MatchString(spec.Target) || len(spec.Target) > 200 {
		fail("SINKS", "nats: want a subject of up to 200 bytes: tokens of A-Z a-z 0-9 _ - with dots between them")
	}
	if err := message.CheckFormat(spec); err != nil {
		fail("SINKS", "nats: %v", err)
	}
	s := settingsOf(v)
	if s.url == "" || slices.ContainsFunc(strings.Split(s.url, ","), invalidURL) {
		fail("NATS_URL", "want nats://[user:password@]host[:port][,…] or tls://…")
	}
	if s.creds != "" {
		if _, err := os.ReadFile(s.creds); err != nil {
			fail("NATS_CREDS_FILE", "want the path of a file that can be read (%v)", withoutPath(err))
		}
	}
	return problems
}

func invalidURL(text string) bool {
	u, err := url.Parse(strings.TrimSpace(text))
	return err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls"
}

// withoutPath removes the path of a file from an error: it may be a secret itself.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
