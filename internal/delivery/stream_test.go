package delivery_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/ddltail/ddltail/internal/delivery"
)

func TestStream(t *testing.T) {
	r, w := io.Pipe()
	s := delivery.NewStream(w)
	var writers sync.WaitGroup
	for range 10 {
		writers.Go(func() {
			for range 10 {
				if o := s.Deliver(t.Context(), message); o.Verdict != delivery.Delivered {
					t.Errorf("got %+v", o)
				}
			}
		})
	}
	go func() {
		writers.Wait()
		w.Close()
	}()
	lines := 0
	for scan := bufio.NewScanner(r); scan.Scan(); lines++ {
		if scan.Text() != string(message.Body) {
			t.Errorf("line %q", scan.Text())
		}
	}
	if lines != 100 {
		t.Errorf("%d lines", lines)
	}
}

// TestSlowReader checks that a reader that does not read cannot hold up the end.
func TestSlowReader(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	s := delivery.NewStream(w)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for range 2 {
		if o := s.Deliver(ctx, message); o.Verdict != delivery.Retry {
			t.Errorf("got %+v", o)
		}
	}
}

func TestBrokenStream(t *testing.T) {
	r, w := io.Pipe()
	r.CloseWithError(errors.New("the disk is full"))
	if o := delivery.NewStream(w).Deliver(t.Context(), message); o.Verdict != delivery.Retry || o.Reason == "" {
		t.Errorf("got %+v", o)
	}
}
