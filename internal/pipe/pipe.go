// Package pipe writes to a file whose reader may stop, such as a pipe, without waiting for it longer than a context allows.
package pipe

import (
	"context"
	"fmt"
	"io"
)

// Writer makes one write at a time. It is safe for concurrent use.
type Writer struct {
	output io.Writer
	// writing holds one element while a write runs.
	writing chan struct{}
}

// NewWriter returns a Writer to an output.
func NewWriter(output io.Writer) *Writer {
	return &Writer{output: output, writing: make(chan struct{}, 1)}
}

// Write writes all bytes. If the context ends first, it returns but the write continues: whether they were written is then not known.
// The caller must not change them.
func (w *Writer) Write(ctx context.Context, raw []byte) error {
	select {
	case w.writing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("stopped before it was written: %w", ctx.Err())
	}
	written := make(chan error, 1)
	go func() {
		_, err := w.output.Write(raw)
		<-w.writing
		written <- err
	}()
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stopped while it was written: %w", ctx.Err())
	}
}
