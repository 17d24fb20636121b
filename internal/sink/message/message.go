// Package message renders notifications as the messages that files and brokers receive:
// relaxed Extended JSON, plain or as a CloudEvent, cut to the target's limit.
package message

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/cloudevent"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/sink"
)

// Format is how a document becomes a message.
type Format string

// The formats. CloudEvents is the structured mode, CloudEventsBinary the binary one.
const (
	Document          Format = "document"
	CloudEvents       Format = "cloudevents"
	CloudEventsBinary Format = "cloudevents-binary"
)

// CheckFormat returns what is wrong with the option format of a specification.
func CheckFormat(s sink.Spec) error {
	formats := []Format{Document, CloudEvents, CloudEventsBinary}
	if value, set := s.Options[sink.KeyFormat]; set && !slices.Contains(formats, Format(value)) {
		return fmt.Errorf("format: want one of %s, %s, %s", Document, CloudEvents, CloudEventsBinary)
	}
	return nil
}

// EncoderOf returns the encoder of a specification, with the limit of its kind.
func EncoderOf(s sink.Spec, maxBytes int) Encoder {
	return Encoder{
		Format:   cmp.Or(Format(s.Options[sink.KeyFormat]), Document),
		MaxBytes: cmp.Or(s.MaxBytes, maxBytes),
	}
}

// Message is one notification as a broker receives it.
type Message struct {
	ID, Operation string
	// Source is the first part of the ID.
	Source string
	// Risk is empty if the notification has none.
	Risk string
	// Database and Collection are empty for HISTORY_GAP, Collection for DROP_DATABASE.
	Database, Collection string
	// To is the new namespace of a rename.
	To          string
	ContentType string
	// Attributes are those of a CloudEvent in binary mode.
	Attributes []cloudevent.Attribute
	Body       []byte
}

// Namespace is "database.collection", only the database, or empty.
func (m Message) Namespace() string {
	if m.Collection == "" {
		return m.Database
	}
	return m.Database + "." + m.Collection
}

// Envelope is an upper bound for the size of a message's key, subject and headers, without
// attributes.
const Envelope = 1 << 10

// Size is the approximate size of the message with its headers.
func (m Message) Size() int {
	n := Envelope + len(m.Body) + 2*len(m.Database) + 2*len(m.Collection) + len(m.To)
	for _, a := range m.Attributes {
		n += len(a.Name) + 3*len(a.Value) + 8 // a header can need three bytes for one
	}
	return n
}

// Encoder renders documents.
type Encoder struct {
	Format Format
	// MaxBytes is the limit of a message; 0 for none. A larger message is cut.
	MaxBytes int
}

// Encode renders a document. If cutting is not enough for the limit, it is reduced.
func (e Encoder) Encode(d notification.Document) (Message, error) {
	doc := d.Notification()
	for {
		m, err := e.render(d, doc)
		if err != nil || e.MaxBytes == 0 || m.Size() <= e.MaxBytes {
			return m, err
		}
		var ok bool
		if doc, ok = notification.Cut(doc); !ok {
			return e.render(d, notification.Reduced(doc))
		}
	}
}

// Reduce renders the minimal document, which every target accepts.
func (e Encoder) Reduce(d notification.Document) (Message, error) {
	return e.render(d, notification.Reduced(d.Notification()))
}

func (e Encoder) render(d notification.Document, doc bson.D) (Message, error) {
	body, err := bson.MarshalExtJSON(doc, false, false)
	if err != nil {
		return Message{}, fmt.Errorf("write %s as JSON: %w", d.ID, err)
	}
	m := Message{
		ID: d.ID, Source: d.Origin.Source, Operation: string(d.Change.Operation), Risk: text(doc, "risk"),
		Database: d.Change.Database, Collection: d.Change.Collection, To: d.Change.To,
		ContentType: "application/json", Body: body,
	}
	if e.Format == CloudEvents || e.Format == CloudEventsBinary {
		return event(m, d, e.Format)
	}
	return m, nil
}

func text(doc bson.D, field string) string {
	at := slices.IndexFunc(doc, func(el bson.E) bool { return el.Key == field })
	if at < 0 {
		return ""
	}
	value, _ := doc[at].Value.(string)
	return value
}

// Lines renders documents, one per line, each cut to a limit; 0 for none.
func Lines(docs []notification.Document, maxBytes int) ([]byte, error) {
	e := Encoder{Format: Document, MaxBytes: maxBytes}
	var buf bytes.Buffer
	for _, d := range docs {
		m, err := e.Encode(d)
		if err != nil {
			return nil, err
		}
		buf.Write(m.Body)
		buf.WriteByte('\n')
	}
	return buf.Bytes(), nil
}
