package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ddltail/ddltail/test/ddltailtest"
)

// listening is `ddltail listen` with the backend to which it delivers notifications.
type listening struct {
	*backend
	process *ddltailtest.Process
}

// listen starts both. The caller must close them.
func (d demo) listen(ctx context.Context, uri string) (listening, error) {
	d.say("Starting ddltail listen, and a small backend for it …")
	b, err := startBackend(ctx)
	if err != nil {
		return listening{}, err
	}
	p, err := ddltailtest.Start(d.binary, []string{"listen"}, "DDLTAIL_MONGODB_URI="+uri, "DDLTAIL_BACKEND_URL="+b.url)
	if err != nil {
		return listening{}, errors.Join(err, b.close())
	}
	l := listening{backend: b, process: p}
	if err := p.WaitReady(ctx); err != nil {
		return listening{}, errors.Join(err, l.close())
	}
	return l, nil
}

func (l listening) close() error { return errors.Join(stop(l.process), l.backend.close()) }

// all waits until the backend has received these notifications, and returns when it received each.
// Only notifications of the same collection arrive in order.
func (l listening) all(ctx context.Context, want []string) (map[string]time.Time, error) {
	got := map[string]time.Time{}
	for range want {
		n, err := l.next(ctx)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(want, n.summary()) {
			return nil, fmt.Errorf("the backend got %q, want %q", n.summary(), want)
		}
		got[n.summary()] = n.at
	}
	return got, nil
}

// gotAll waits until the backend has received n more notifications of any kind.
func (d demo) gotAll(ctx context.Context, l listening, n int) error {
	for i := range n {
		if _, err := l.next(ctx); err != nil {
			return fmt.Errorf("after %d of %d: %w", i, n, err)
		}
	}
	d.say("The backend got all %d of them.", n)
	return nil
}
