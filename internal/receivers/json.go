package receivers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
)

const (
	jsonType        = "application/json"
	cloudEventType  = "application/cloudevents+json; charset=UTF-8"
	cloudEventsType = "application/cloudevents-batch+json; charset=UTF-8"
)

// encode writes a value as JSON. The signs of HTML stay as they are: targets display them.
func encode(value any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("encode as JSON: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// document renders the notification itself as relaxed Extended JSON; several as an array.
type document struct{}

func (document) render(all []Notification) (payload, error) {
	changes, err := newChanges(all)
	if err != nil {
		return payload{}, err
	}
	if len(changes) == 1 {
		return payload{body: []byte(changes[0].Document), contentType: jsonType}, nil
	}
	documents := make([]string, len(changes))
	for i, c := range changes {
		documents[i] = string(c.Document)
	}
	return payload{body: []byte("[" + strings.Join(documents, ",") + "]"), contentType: jsonType}, nil
}

// cloudEvent renders a CloudEvent 1.0 in structured mode; several as a batch.
type cloudEvent struct{}

type eventBody struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Time            string          `json:"time,omitempty"`
	Subject         string          `json:"subject,omitempty"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
}

func (cloudEvent) render(all []Notification) (payload, error) {
	changes, err := newChanges(all)
	if err != nil {
		return payload{}, err
	}
	events := make([]eventBody, len(changes))
	for i, c := range changes {
		events[i] = newEvent(c)
	}
	if len(events) == 1 {
		body, err := encode(events[0])
		return payload{body: body, contentType: cloudEventType}, err
	}
	body, err := encode(events)
	return payload{body: body, contentType: cloudEventsType}, err
}

// newEvent returns the event of a change. A notification by hand has the source manual.
func newEvent(c Change) eventBody {
	source, _, fromOplog := strings.Cut(c.ID, ":")
	if !fromOplog {
		source = "manual"
	}
	e := eventBody{
		SpecVersion: "1.0", ID: percentEncoded(c.ID), Source: "ddltail:" + percentEncoded(source),
		Type: "ddltail." + percentEncoded(c.Operation), Subject: percentEncoded(c.Namespace),
		DataContentType: jsonType, Data: json.RawMessage(c.Document),
	}
	if !c.Time.IsZero() {
		e.Time = c.Time.UTC().Format(time.RFC3339Nano)
	}
	return e
}

// percentEncoded encodes what an attribute of a CloudEvent must not hold.
func percentEncoded(text string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		if r != '%' && !unicode.IsControl(r) {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
