package kafka

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/message"
	"github.com/ddltail/ddltail/test/sinktest"
)

// TestRecords checks key, headers and copies of each kind of message.
func TestRecords(t *testing.T) {
	const id = "ddltail-id=rs0:1700000000:0000000001:000000 "
	for _, c := range []struct {
		change notification.Change
		format message.Format
		want   []string
	}{
		{
			notification.Change{Operation: notification.CreateCollection, Database: "shop", Collection: "a"}, message.Document,
			[]string{"shop.a: " + id + "ddltail-operation=CREATE_COLLECTION ddltail-risk=routine content-type=application/json"},
		},
		{
			notification.Change{Operation: notification.RenameCollection, Database: "shop", Collection: "a", To: "shop.b"}, message.Document,
			[]string{
				"shop.a: " + id + "ddltail-operation=RENAME_COLLECTION ddltail-risk=breaking content-type=application/json",
				"shop.b: " + id + "ddltail-operation=RENAME_COLLECTION ddltail-risk=breaking content-type=application/json ddltail-copy=true",
			},
		},
		{
			notification.Change{Operation: notification.DropDatabase, Database: "shop"}, message.CloudEvents,
			[]string{"shop: " + id + "ddltail-operation=DROP_DATABASE ddltail-risk=destructive content-type=application/cloudevents+json; charset=UTF-8"},
		},
		{
			notification.Change{Operation: notification.HistoryGap}, message.CloudEventsBinary,
			[]string{"rs0: " + id + "ddltail-operation=HISTORY_GAP ddltail-risk=unknown content-type=application/json " +
				"ce_specversion=1.0 ce_id=rs0:1700000000:0000000001:000000 ce_source=ddltail:rs0 ce_type=ddltail.HISTORY_GAP ce_time=2023-11-14T22:13:20Z"},
		},
	} {
		m, err := message.Encoder{Format: c.format}.Encode(sinktest.Document(1, c.change))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range records(m) {
			text := string(r.Key) + ":"
			for _, h := range r.Headers {
				text += fmt.Sprintf(" %s=%s", h.Key, h.Value)
			}
			got = append(got, text)
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
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
		{"ddl", sink.Values{"KAFKA_BROKERS": "h:1, [::1]:2"}, ""},
		{"ddl?create=true&format=cloudevents", sink.Values{"KAFKA_BROKERS": "h:1"}, ""},
		{"d%20l", sink.Values{"KAFKA_BROKERS": "h:1"}, "SINKS"},
		{"..", sink.Values{"KAFKA_BROKERS": "h:1"}, "SINKS"},
		{"ddl?create=maybe", sink.Values{"KAFKA_BROKERS": "h:1"}, "SINKS"},
		{"ddl?format=avro", sink.Values{"KAFKA_BROKERS": "h:1"}, "SINKS"},
		{"ddl", nil, "KAFKA_BROKERS"},
		{"ddl", sink.Values{"KAFKA_BROKERS": "h:1", "KAFKA_KEY_FILE": "k.pem"}, "KAFKA_CERT_FILE"},
		{"ddl", sink.Values{"KAFKA_BROKERS": "h:1", "KAFKA_USER": "u"}, "KAFKA_SASL"},
		{"ddl", sink.Values{"KAFKA_BROKERS": "h:1", "KAFKA_SASL": "plain"}, "KAFKA_USER"},
		{"ddl", sink.Values{"KAFKA_BROKERS": "h:1", "KAFKA_SASL": "plain", "KAFKA_USER": "u"}, "KAFKA_PASSWORD"},
		{"ddl", sink.Values{"KAFKA_BROKERS": "h:1", "KAFKA_SASL": "plain", "KAFKA_USER": "u", "KAFKA_PASSWORD": "p"}, ""},
	} {
		spec, err := sink.Registry{Kind()}.Parse("kafka:" + c.specification)
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
	brokers := sink.Values{"KAFKA_BROKERS": "h:1"}
	user := sink.Values{"KAFKA_BROKERS": "h:1", "KAFKA_SASL": "plain", "KAFKA_USER": "u"}
	sinktest.Variables(t, Kind(), "kafka:ddl", []sinktest.Variable{
		{Name: "KAFKA_BROKERS", Bad: []string{"localhost", "http://h:1", "h:0", "user:secret@h:1", "h:1,:2"}},
		{Name: "KAFKA_TLS", With: brokers, Bad: []string{"maybe"}},
		{Name: "KAFKA_CA_FILE", With: brokers, Bad: []string{"/no/such/file", "/dev/null"}},
		{Name: "KAFKA_CERT_FILE", With: brokers, Bad: []string{"/no/such/file"}},
		{Name: "KAFKA_KEY_FILE"}, // reported with the certificate
		{Name: "KAFKA_SASL", With: brokers, Bad: []string{"gssapi"}},
		{Name: "KAFKA_USER"},     // any text
		{Name: "KAFKA_PASSWORD"}, // any text
		{Name: "KAFKA_PASSWORD_FILE", With: user, Bad: []string{"/no/such/file", "/dev/null"}},
	})
}
