// Package cloudevent writes notifications as CloudEvents 1.0, for brokers and for
// receivers.
package cloudevent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// The content types of an event in structured mode, and of a batch.
const (
	ContentType      = "application/cloudevents+json; charset=UTF-8"
	BatchContentType = "application/cloudevents-batch+json; charset=UTF-8"
)

// Event holds what the attributes of an event are derived from.
type Event struct {
	// ID is the _id of the notification, Source its first part, or "manual" for a
	// notification written by hand.
	ID, Source, Operation string
	// Namespace is empty for HISTORY_GAP.
	Namespace string
	// Time is the time of the change; zero if not known.
	Time time.Time
}

// Attribute is an attribute of an event; its name has no prefix.
type Attribute struct{ Name, Value string }

// Attributes returns the attributes without that of the data's type.
func (e Event) Attributes() []Attribute {
	attributes := []Attribute{
		{"specversion", "1.0"},
		{"id", printable(e.ID)},
		{"source", "ddltail:" + printable(e.Source)},
		{"type", "ddltail." + printable(e.Operation)},
	}
	if !e.Time.IsZero() {
		attributes = append(attributes, Attribute{"time", e.Time.UTC().Format(time.RFC3339Nano)})
	}
	if e.Namespace != "" {
		attributes = append(attributes, Attribute{"subject", printable(e.Namespace)})
	}
	return attributes
}

// Structured returns the event as one JSON object; data is JSON.
func (e Event) Structured(data []byte) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	buf.WriteByte('{')
	for _, a := range e.Attributes() {
		for _, part := range []struct {
			text string
			end  byte
		}{{a.Name, ':'}, {a.Value, ','}} {
			if err := enc.Encode(part.text); err != nil {
				return nil, fmt.Errorf("write %s as a CloudEvent: %w", e.ID, err)
			}
			buf.Bytes()[buf.Len()-1] = part.end // in place of the encoder's newline
		}
	}
	buf.WriteString(`"datacontenttype":"application/json","data":`)
	buf.Write(data)
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// printable percent-encodes characters that an attribute must not contain.
func printable(text string) string {
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
