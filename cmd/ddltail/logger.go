package main

import (
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/ddltail/ddltail/internal/config"
)

// configure reads the configuration, starts logging, and warns of variables that are most
// likely typing errors.
func configure(required ...config.Requirement) (config.Config, *zap.Logger, error) {
	cfg, err := config.Load(time.Now(), required...)
	if err != nil {
		return config.Config{}, nil, err
	}
	log, err := newLogger(cfg.Log)
	if err != nil {
		return config.Config{}, nil, err
	}
	if len(cfg.Unknown) > 0 {
		log.Warn("variables that mean nothing to ddltail", zap.Strings("names", cfg.Unknown))
	}
	return cfg, log, nil
}

// newLogger logs to stderr: stdout is for data.
func newLogger(c config.Log) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("start logging: %w", err)
	}
	return zap.New(zapcore.NewCore(encoder(c.Format), zapcore.Lock(os.Stderr), level)), nil
}

func encoder(format string) zapcore.Encoder {
	if format == "" && term.IsTerminal(int(os.Stderr.Fd())) {
		format = "console"
	}
	if format == "console" {
		cfg := zap.NewDevelopmentEncoderConfig()
		cfg.EncodeTime = zapcore.ISO8601TimeEncoder
		return zapcore.NewConsoleEncoder(cfg)
	}
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	return zapcore.NewJSONEncoder(cfg)
}
