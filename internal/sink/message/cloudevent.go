package message

import (
	"github.com/ddltail/ddltail/internal/cloudevent"
	"github.com/ddltail/ddltail/internal/notification"
)

// event converts the message of a document to a CloudEvent 1.0.
func event(m Message, d notification.Document, format Format) (Message, error) {
	e := cloudevent.Event{ID: m.ID, Source: d.Origin.Source, Operation: m.Operation, Namespace: m.Namespace(), Time: d.Wall()}
	if format == CloudEventsBinary {
		m.Attributes = e.Attributes()
		return m, nil
	}
	body, err := e.Structured(m.Body)
	if err != nil {
		return m, err
	}
	m.ContentType, m.Body = cloudevent.ContentType, body
	return m, nil
}
