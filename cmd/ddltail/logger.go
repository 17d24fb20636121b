package main

import (
	"fmt"
	"io"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/ddltail/ddltail/internal/config"
)

// newLogger returns a logger to stderr; stdout is for data.
func newLogger(c config.Log) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("start logging: %w", err)
	}
	return zap.New(shortErrors{zapcore.NewCore(encoder(c.Format), zapcore.Lock(os.Stderr), level)}), nil
}

// logsJSON reports whether the log is JSON.
func logsJSON(format string) bool {
	return format == "json" || format == "" && !term.IsTerminal(int(os.Stderr.Fd()))
}

// reportJSON writes errors as JSON log lines; usage is empty unless the
// command line is wrong.
func reportJSON(w io.Writer, texts []string, usage string) {
	log := zap.New(zapcore.NewCore(encoder("json"), zapcore.AddSync(w), zapcore.ErrorLevel))
	for _, text := range texts {
		fields := []zap.Field{zap.String("error", text)}
		if usage != "" {
			fields = append(fields, zap.String("usage", usage))
		}
		log.Error("ddltail failed", fields...)
	}
}

func encoder(format string) zapcore.Encoder {
	if !logsJSON(format) {
		cfg := zap.NewDevelopmentEncoderConfig()
		cfg.EncodeTime = zapcore.ISO8601TimeEncoder
		return zapcore.NewConsoleEncoder(cfg)
	}
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	return zapcore.NewJSONEncoder(cfg)
}
