package delivery

import (
	"context"
	"io"
)

// Stream writes one notification a line, for a pipe. It is for any number of
// goroutines.
type Stream struct {
	output io.Writer
	turn   chan struct{}
}

// NewStream writes to output.
func NewStream(output io.Writer) *Stream {
	return &Stream{output: output, turn: make(chan struct{}, 1)}
}

// Deliver writes the line. A reader that is slow holds it up. A context that ends
// meanwhile ends the wait, but not the write: whether the line went out is then
// not known.
func (s *Stream) Deliver(ctx context.Context, m Message) Outcome {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return Outcome{Reason: "stopped before it was written"}
	}
	line := append(append(make([]byte, 0, len(m.Body)+1), m.Body...), '\n')
	written := make(chan error, 1)
	go func() {
		_, err := s.output.Write(line)
		<-s.turn
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
