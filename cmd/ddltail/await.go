package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/usererror"
)

// await retries a step that needs a server until it succeeds or cannot succeed any more.
type await func(ctx context.Context, step func(context.Context) error) error

// atStart waits up to startLimit for servers that are starting too.
func atStart(log *zap.Logger) await { return within(log, startLimit) }

func within(log *zap.Logger, limit time.Duration) await {
	return func(ctx context.Context, step func(context.Context) error) error {
		return awaitStep(ctx, log, limit, step)
	}
}

// awaitStep retries a step of the start until it succeeds, and logs each reason for
// waiting once. It gives up after the limit, and at once on a *config.Error.
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
			return fmt.Errorf("gave up after %s: %w", limit, err)
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
