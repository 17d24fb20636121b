package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/retry"
)

// configure reads the configuration, starts logging, and warns about likely typing errors.
func configure(ctx context.Context, limit time.Duration, required ...config.Requirement) (config.Config, *zap.Logger, error) {
	cfg, err := load(ctx, limit, required...)
	if err != nil {
		return config.Config{}, nil, err
	}
	log, err := newLogger(cfg.Log)
	if err != nil {
		return config.Config{}, nil, err
	}
	if len(cfg.Unknown) > 0 {
		log.Warn("unknown variables are ignored", zap.Strings("names", cfg.Unknown))
	}
	if len(cfg.UnknownOptions) > 0 {
		log.Warn("unknown URI options are ignored by the driver", zap.Strings("names", cfg.UnknownOptions))
	}
	return cfg, log, nil
}

// load reads the configuration. It waits up to the limit for an SRV name that DNS does not
// know yet, as for a host.
func load(ctx context.Context, limit time.Duration, required ...config.Requirement) (config.Config, error) {
	deadline := time.Now().Add(limit)
	waiting := false
	for {
		cfg, err := config.Load(time.Now(), required...)
		if !config.OnlyUnresolved(err) {
			return cfg, err
		}
		// Only the text: this is not a configuration error with its exit code.
		text := oneLine(err.Error())
		if limit == 0 {
			return cfg, errors.New(text)
		}
		if time.Now().After(deadline) {
			return cfg, fmt.Errorf("gave up after %s: %s", limit, text)
		}
		if !waiting {
			waiting = true
			if log, err := newLogger(cfg.Log); err == nil {
				log.Info("waiting", zap.Duration("at_most", limit), zap.String("for", text))
			}
		}
		if !retry.Sleep(ctx, time.Second) {
			return cfg, ctx.Err()
		}
	}
}
