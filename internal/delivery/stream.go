package delivery

import (
	"context"
	"io"
)

// Stream writes notifications as JSON lines, for a pipe. It is safe for concurrent use.
type Stream struct {
	output io.Writer
	lock   chan struct{}
}

// NewStream returns a stream that writes to output.
func NewStream(output io.Writer) *Stream {
	return &Stream{output: output, lock: make(chan struct{}, 1)}
}

// Deliver writes the line. It blocks while the reader is slow. If the context is canceled
// it returns, but the write continues: whether the line was written is then not known.
func (s *Stream) Deliver(ctx context.Context, m Message) Outcome {
	select {
	case s.lock <- struct{}{}:
	case <-ctx.Done():
		return Outcome{Reason: "stopped before it was written"}
	}
	line := append(append(make([]byte, 0, len(m.Body)+1), m.Body...), '\n')
	written := make(chan error, 1)
	go func() {
		_, err := s.output.Write(line)
		<-s.lock
		written <- err
	}()
	select {
	case err := <-written:
		if err != nil {
			return Outcome{Reason: "write a line: " + err.Error()}
		}
		return Outcome{Verdict: Delivered}
	case <-ctx.Done():
		return Outcome{Reason: "stopped while it was written"}
	}
}
