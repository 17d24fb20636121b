package receivers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ddltail/ddltail/internal/cloudevent"
)

const jsonType = "application/json"

// encode writes a value as JSON. HTML characters are not escaped: targets display them.
func encode(value any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("encode as JSON: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// document renders a notification as relaxed Extended JSON; several as an array.
type document struct{}

func (document) render(all []Notification) (payload, error) {
	changes, err := newChanges(all)
	if err != nil {
		return payload{}, err
	}
	if len(changes) == 1 {
		return payload{body: []byte(changes[0].Document), contentType: jsonType}, nil
	}
	documents := make([][]byte, len(changes))
	for i, c := range changes {
		documents[i] = []byte(c.Document)
	}
	return payload{body: array(documents), contentType: jsonType}, nil
}

// cloudEvent renders a CloudEvent 1.0 in structured mode; several as a batch.
type cloudEvent struct{}

func (cloudEvent) render(all []Notification) (payload, error) {
	changes, err := newChanges(all)
	if err != nil {
		return payload{}, err
	}
	events := make([][]byte, len(changes))
	for i, c := range changes {
		if events[i], err = eventOf(c).Structured([]byte(c.Document)); err != nil {
			return payload{}, err
		}
	}
	if len(events) == 1 {
		return payload{body: events[0], contentType: cloudevent.ContentType}, nil
	}
	return payload{body: array(events), contentType: cloudevent.BatchContentType}, nil
}

// eventOf returns the event of a change. A notification written by hand has the source manual.
func eventOf(c Change) cloudevent.Event {
	source, _, fromOplog := strings.Cut(c.ID, ":")
	if !fromOplog {
		source = "manual"
	}
	return cloudevent.Event{ID: c.ID, Source: source, Operation: c.Operation, Namespace: c.Namespace, Time: c.Time}
}

// array joins JSON values.
func array(values [][]byte) []byte {
	return slices.Concat([]byte("["), bytes.Join(values, []byte(",")), []byte("]"))
}
