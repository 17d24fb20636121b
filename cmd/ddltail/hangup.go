package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// hangup calls functions on SIGHUP, to reload what they read from files. SIGHUP then does not
// end the process.
type hangup struct {
	signals chan os.Signal

	mu    sync.Mutex
	calls []func()
}

// catchHangup starts to catch SIGHUP. A signal that arrives before run is handled by run.
func catchHangup() *hangup {
	h := &hangup{signals: make(chan os.Signal, 1)}
	signal.Notify(h.signals, syscall.SIGHUP)
	return h
}

// call adds a function.
func (h *hangup) call(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, f)
}

// run calls all functions on each SIGHUP, one after the other, until the context ends.
func (h *hangup) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.signals:
			h.mu.Lock()
			calls := h.calls
			h.mu.Unlock()
			for _, f := range calls {
				f()
			}
		}
	}
}
