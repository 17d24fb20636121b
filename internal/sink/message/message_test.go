package message

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/sink"
)

// document is the notification of a change.
func document(c notification.Change) notification.Document {
	c.OpTime = oplog.OpTime{TS: bson.Timestamp{T: 1_700_000_000, I: 7}, Term: 1}
	c.Wall = time.UnixMilli(1_700_000_000_250)
	return notification.NewDocument(c, notification.Origin{Source: "rs0", ReplicaSet: "rs0"}, c.Wall)
}

func encode(t *testing.T, e Encoder, d notification.Document) Message {
	t.Helper()
	m, err := e.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCloudEvents checks both modes against the names and forms of CloudEvents 1.0.
func TestCloudEvents(t *testing.T) {
	d := document(notification.Change{Operation: notification.CreateCollection, Database: "shop", Collection: "a\x01%<b>"})
	plain := encode(t, Encoder{Format: Document}, d)
	want := map[string]any{
		"specversion": "1.0", "id": "rs0:1700000000:0000000007:000000", "source": "ddltail:rs0", "type": "ddltail.CREATE_COLLECTION",
		"time": "2023-11-14T22:13:20.25Z", "subject": "shop.a%01%25<b>", "datacontenttype": "application/json",
	}
	structured := encode(t, Encoder{Format: CloudEvents}, d)
	var got map[string]json.RawMessage
	if err := json.Unmarshal(structured.Body, &got); err != nil {
		t.Fatalf("%s: %v", structured.Body, err)
	}
	if len(got) != len(want)+1 || string(got["data"]) != string(plain.Body) {
		t.Errorf("got %s", structured.Body)
	}
	for name, value := range want {
		if text, _ := json.Marshal(value); !equalJSON(got[name], text) {
			t.Errorf("%s is %s, want %s", name, got[name], text)
		}
	}
	if structured.ContentType != "application/cloudevents+json; charset=UTF-8" {
		t.Errorf("the content type is %s", structured.ContentType)
	}
	binary := encode(t, Encoder{Format: CloudEventsBinary}, d)
	if string(binary.Body) != string(plain.Body) || binary.ContentType != "application/json" || len(binary.Attributes) != len(want)-1 {
		t.Errorf("got %+v", binary)
	}
	for _, a := range binary.Attributes {
		if want[a.Name] != a.Value {
			t.Errorf("%s is %s, want %s", a.Name, a.Value, want[a.Name])
		}
	}
	gap := encode(t, Encoder{Format: CloudEventsBinary}, document(notification.Change{Operation: notification.HistoryGap}))
	for _, a := range gap.Attributes {
		if a.Name == "subject" {
			t.Error("a gap has a subject")
		}
	}
}

func equalJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && x == y
}

// TestCut removes fields in their order, and only until the message fits.
func TestCut(t *testing.T) {
	kilobytes := func(n int) string { return strings.Repeat("x", n<<10) }
	raw := func(n int) bson.Raw {
		b, err := bson.Marshal(bson.D{{Key: "v", Value: kilobytes(n)}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		change    notification.Change
		truncated string
		reduced   bool
	}{
		{notification.Change{Mongosh: kilobytes(10)}, "", false},
		{notification.Change{Before: raw(25), After: raw(1)}, "before", false},
		{notification.Change{Before: raw(1), After: raw(25)}, "before after", false},
		{notification.Change{Command: raw(15), Mongosh: kilobytes(15), Undo: kilobytes(1)}, "command", false},
		{notification.Change{Mongosh: kilobytes(1), Undo: kilobytes(25)}, "mongosh undo", false},
		{notification.Change{Undo: kilobytes(1), Statement: kilobytes(25)}, "undo operation_statement", false},
		{notification.Change{Undo: kilobytes(25), Truncated: []string{"command"}}, "command undo", false},
		{notification.Change{IndexName: kilobytes(25)}, "", true},
	} {
		c.change.Operation, c.change.Database, c.change.Collection = notification.CreateIndex, "shop", "payments"
		m := encode(t, Encoder{MaxBytes: 20 << 10}, document(c.change))
		var doc struct {
			NS        string   `json:"ns"`
			Truncated []string `json:"truncated"`
		}
		if err := json.Unmarshal(m.Body, &doc); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(doc.Truncated, " "); got != c.truncated || (doc.NS == "") != c.reduced || m.Size() > 20<<10 {
			t.Errorf("truncated %q in %d bytes, want %q; reduced %t", got, m.Size(), c.truncated, doc.NS == "")
		}
	}
}

// TestReduced fits the smallest limit that can be set, whatever the names.
func TestReduced(t *testing.T) {
	hostile := strings.Repeat("\x01", 1<<20)
	m, err := Encoder{}.Reduce(document(notification.Change{
		Operation: notification.CreateIndex, Database: hostile[:60], Collection: hostile[:190], IndexName: hostile, Statement: hostile,
	}))
	if err != nil || m.Size() > 16<<10 {
		t.Errorf("%d bytes, %v", m.Size(), err)
	}
}

func TestCheckFormat(t *testing.T) {
	for value, valid := range map[string]bool{"document": true, "cloudevents": true, "cloudevents-binary": true, "avro": false} {
		if err := CheckFormat(sink.Spec{Options: map[string]string{"format": value}}); (err == nil) != valid {
			t.Errorf("%s: %v", value, err)
		}
	}
}
