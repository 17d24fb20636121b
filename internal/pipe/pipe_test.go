package pipe_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/pipe"
)

// TestWriter: a write ends with its context while the reader stands still, the next one waits for it, and nothing is lost or mixed when the
// reader goes on.
func TestWriter(t *testing.T) {
	reader, output := io.Pipe()
	w := pipe.NewWriter(output)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for range 2 {
		if err := w.Write(short, []byte("one\n")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v", err)
		}
	}
	lines := make(chan string, 2)
	go func() {
		for in := bufio.NewScanner(reader); in.Scan(); {
			lines <- in.Text()
		}
	}()
	if err := w.Write(t.Context(), []byte("two\n")); err != nil {
		t.Error(err)
	}
	if first, second := <-lines, <-lines; first != "one" || second != "two" {
		t.Errorf("%q, %q", first, second)
	}
	_ = reader.Close()
	if err := w.Write(t.Context(), []byte("three\n")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
}
