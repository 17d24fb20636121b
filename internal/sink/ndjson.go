package sink

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/internal/notification"
)

// Stream writes one relaxed Extended JSON object a line, to a standard output.
type Stream struct {
	Output io.Writer
}

// Name is the sink's name in logs and metrics.
func (s Stream) Name() string { return "stdout" }

// Write writes the documents at least once: a write cut in its midst is repeated.
func (s Stream) Write(_ context.Context, docs []notification.Document) error {
	lines, err := ndjson(docs)
	if err != nil {
		return err
	}
	if _, err := s.Output.Write(lines); err != nil {
		return fmt.Errorf("write to stdout: %w", err)
	}
	return nil
}

func ndjson(docs []notification.Document) ([]byte, error) {
	var buf bytes.Buffer
	for _, d := range docs {
		line, err := bson.MarshalExtJSON(d.Notification(), false, false)
		if err != nil {
			return nil, fmt.Errorf("write %s as JSON: %w", d.ID, err)
		}
		buf.Write(line)
		buf.WriteByte('\n')
	}
	return buf.Bytes(), nil
}
