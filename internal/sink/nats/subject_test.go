package nats

import (
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/message"
	"github.com/ddltail/ddltail/test/sinktest"
)

func TestSubjectOf(t *testing.T) {
	s := &Subject{subject: "ddl.prod"}
	for _, c := range []struct {
		database, collection, want string
	}{
		{"shop", "payments_2-x", "ddl.prod.shop.payments_2-x"},
		{"shop", "a.b", "ddl.prod.shop.a%2Eb"},
		{"shop", "a b*>", "ddl.prod.shop.a%20b%2A%3E"},
		{"shop", "%2E", "ddl.prod.shop.%252E"},
		{"shop", "é\n", "ddl.prod.shop.%C3%A9%0A"},
		{"shop", "", "ddl.prod.shop"},
		{"", "", "ddl.prod.%gap"},
	} {
		if got := s.subjectOf(message.Message{Database: c.database, Collection: c.collection}); got != c.want {
			t.Errorf("%q %q: got %s, want %s", c.database, c.collection, got, c.want)
		}
	}
}

// TestCheck finds each mistake, and names its variable.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		specification string
		values        sink.Values
		want          string
	}{
		{"ddl.prod", sink.Values{"NATS_URL": "nats://h, tls://u:p@i:4222"}, ""},
		{"ddl.*", sink.Values{"NATS_URL": "nats://h"}, "SINKS"},
		{"ddl.", sink.Values{"NATS_URL": "nats://h"}, "SINKS"},
		{"ddl?format=avro", sink.Values{"NATS_URL": "nats://h"}, "SINKS"},
		{"ddl", nil, "NATS_URL"},
		{"ddl", sink.Values{"NATS_URL": "nats://h", "NATS_CREDS_FILE": "/no/such/file"}, "NATS_CREDS_FILE"},
	} {
		spec, err := sink.Registry{Kind()}.Parse("nats:" + c.specification)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range check(spec, c.values) {
			got = append(got, p.Variable)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s %q: got %q, want %q", c.specification, c.values, got, c.want)
		}
	}
}

func TestVariables(t *testing.T) {
	sinktest.Variables(t, Kind(), "nats:ddl", []sinktest.Variable{
		{Name: "NATS_URL", Bad: []string{"localhost:4222", "http://h", "nats://", "nats://h,nats://"}},
		{Name: "NATS_CREDS_FILE", With: sink.Values{"NATS_URL": "nats://h"}, Bad: []string{"/no/such/file"}},
	})
}
