package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/ddltail/ddltail/internal/notification"
)

// typePrefix begins the type of every event.
const typePrefix = "ddltail."

// event makes the message of a document a CloudEvent 1.0.
func event(m Message, d notification.Document, format Format) (Message, error) {
	attributes := []Attribute{
		{"specversion", "1.0"},
		{"id", m.ID},
		{"source", "ddltail:" + d.Origin.Source},
		{"type", typePrefix + m.Operation},
		{"time", d.Wall().UTC().Format(time.RFC3339Nano)},
	}
	if ns := m.Namespace(); ns != "" {
		attributes = append(attributes, Attribute{"subject", printable(ns)})
	}
	if format == CloudEventsBinary {
		m.Attributes = attributes
		return m, nil
	}
	body, err := structured(attributes, m.Body)
	if err != nil {
		return m, fmt.Errorf("write %s as a CloudEvent: %w", m.ID, err)
	}
	m.ContentType, m.Body = "application/cloudevents+json; charset=UTF-8", body
	return m, nil
}

// structured returns an event as one JSON object.
func structured(attributes []Attribute, data []byte) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	for i, a := range attributes {
		if i == 0 {
			buf.WriteByte('{')
		}
		for _, part := range []struct {
			text string
			end  byte
		}{{a.Name, ':'}, {a.Value, ','}} {
			if err := enc.Encode(part.text); err != nil {
				return nil, err
			}
			buf.Bytes()[buf.Len()-1] = part.end // in place of the encoder's newline
		}
	}
	buf.WriteString(`"datacontenttype":"application/json","data":`)
	buf.Write(data)
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// printable percent-encodes what an attribute of a CloudEvent must not hold.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
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
