package delivery

import (
	"context"
	"io"

	"github.com/ddltail/ddltail/internal/pipe"
)

// Stream writes notifications as JSON lines, for a pipe. It is safe for concurrent use.
type Stream struct{ output *pipe.Writer }

// NewStream returns a stream that writes to output.
func NewStream(output io.Writer) *Stream { return &Stream{pipe.NewWriter(output)} }

// Deliver writes the line. It blocks while the reader is slow. If the context is canceled
// it returns, but the write continues: whether the line was written is then not known.
func (s *Stream) Deliver(ctx context.Context, m Message) Outcome {
	line := append(append(make([]byte, 0, len(m.Body)+1), m.Body...), '\n')
	if err := s.output.Write(ctx, line); err != nil {
		return Outcome{Reason: "write a line: " + err.Error()}
	}
	return Outcome{Verdict: Delivered}
}
