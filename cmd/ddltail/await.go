package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/usererror"
)

// waitFunc retries a step that needs a server until it succeeds or fails permanently.
type waitFunc func(ctx context.Context, step func(context.Context) error) error

// waitAtStart waits up to startLimit for servers that may still be starting.
func waitAtStart(log *zap.Logger) waitFunc { return waitUpTo(log, startLimit) }

func waitUpTo(log *zap.Logger, limit time.Duration) waitFunc {
	return func(ctx context.Context, step func(context.Context) error) error {
		return awaitStep(ctx, log, limit, step)
	}
}

// awaitStep retries a step until it succeeds, and logs each reason for waiting once. It
// returns the error after the limit, and a permanent one (usererror.IsFinal) at once.
func awaitStep(ctx context.Context, log *zap.Logger, limit time.Duration, step func(context.Context) error) error {
	deadline := time.Now().Add(limit)
	logged := map[string]bool{}
	for {
		err := step(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			// The step failed because the process is stopping.
			return ctx.Err()
		case usererror.IsFinal(err):
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("gave up after %s: %w", limit, withDefaultURI(err))
		}
		if text := strings.ReplaceAll(replicaset.WithoutConnection(err).Error(), "\n", "; "); !logged[text] {
			logged[text] = true
			log.Info("waiting", zap.Duration("at_most", time.Until(deadline).Round(time.Second)), zap.String("for", text))
		}
		if !retry.Sleep(ctx, time.Second) {
			return ctx.Err()
		}
	}
}

// withDefaultURI adds to an error that no variable names the server, if so.
func withDefaultURI(err error) error {
	for _, name := range []string{"MONGODB_URI", "SINK_URI"} {
		if os.Getenv("DDLTAIL_"+name) != "" || os.Getenv("DDLTAIL_"+name+"_FILE") != "" {
			return err
		}
	}
	return fmt.Errorf("%w; DDLTAIL_MONGODB_URI is not set, so that its default is used, mongodb://localhost:27017", err)
}
