// Package stdout is the sink that prints documents to standard output, one per line.
package stdout

import (
	"context"
	"fmt"

	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/pipe"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/sink/message"
)

// Kind returns the kind stdout.
func Kind() sink.Kind {
	return sink.Kind{
		Name: "stdout", Summary: "NDJSON", Options: []string{sink.KeyName, sink.KeyRequired, sink.KeyMaxBytes},
		Open: func(s sink.Spec, _ sink.Values, r sink.Resources) ([]sink.Output, error) {
			return []sink.Output{{Sink: Stream{name: s.Name, maxBytes: s.MaxBytes, output: pipe.NewWriter(r.Stdout)}}}, nil
		},
	}
}

// Stream writes one relaxed Extended JSON object per line to standard output.
type Stream struct {
	name string
	// maxBytes is the limit of a line; 0 for none.
	maxBytes int
	output   *pipe.Writer
}

// Name is the sink's name in logs and metrics.
func (s Stream) Name() string { return s.name }

// Setup has nothing to do.
func (Stream) Setup(context.Context, sink.Own) error { return nil }

// Write writes the documents. The caller repeats a write that failed, or did not end in time, so that lines can occur twice.
func (s Stream) Write(ctx context.Context, docs []notification.Document) error {
	lines, err := message.Lines(docs, s.maxBytes)
	if err != nil {
		return err
	}
	if err := s.output.Write(ctx, lines); err != nil {
		return fmt.Errorf("write to stdout: %w", err)
	}
	return nil
}

// Close leaves standard output open.
func (Stream) Close() error { return nil }
