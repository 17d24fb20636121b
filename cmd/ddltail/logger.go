package main

import (
	"fmt"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/ddltail/ddltail/internal/config"
)

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
