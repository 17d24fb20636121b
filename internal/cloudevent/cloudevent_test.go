package cloudevent_test

import (
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/ddltail/ddltail/internal/cloudevent"
	"github.com/ddltail/ddltail/test/hostile"
)

// TestStructured has the official SDK read events of hostile names.
func TestStructured(t *testing.T) {
	for _, name := range append(hostile.Names(), "") {
		e := cloudevent.Event{ID: "rs0:1", Source: name, Operation: "DROP_COLLECTION", Namespace: name, Time: time.Unix(1795634426, 5e8)}
		text, err := e.Structured([]byte(`{"a":1}`))
		if err != nil {
			t.Fatal(err)
		}
		var got cloudevents.Event
		if err := got.UnmarshalJSON(text); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got.ID() != e.ID || got.Type() != "ddltail.DROP_COLLECTION" || string(got.Data()) != `{"a":1}` || !got.Time().Equal(e.Time) {
			t.Errorf("%s is read as %s", text, got)
		}
	}
}

// TestAttributes checks what is encoded, and what is left out.
func TestAttributes(t *testing.T) {
	e := cloudevent.Event{ID: "a", Source: "rs0", Operation: "HISTORY_GAP"}
	if got := e.Attributes(); len(got) != 4 {
		t.Errorf("got %v", got)
	}
	e.Namespace = "a%\nü\u009b"
	if got := e.Attributes()[4]; got != (cloudevent.Attribute{Name: "subject", Value: "a%25%0Aü%C2%9B"}) {
		t.Errorf("got %v", got)
	}
}
